"""What a form brings, as values of columns: only what may be written, only what becomes another, nothing guessed.

piccolo-admin's form sends every column as text, the untouched ones too. Those are taken for what they are: no change.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any

from piccolo.columns import JSON, JSONB, Column, Text, Varchar
from piccolo.utils.pydantic import create_pydantic_model
from pydantic import BaseModel, ValidationError

from admin.tables.shown import Shown
from domain.faults import Forbidden, InvalidValue

_GIVEN_BY_US = frozenset({"id", "created_at"})
_FORM_PRECISION = timedelta(seconds=60)
"""The form shows moments to the second or the minute."""


def changes_of(shown: Shown, changeable: frozenset[str], row: Mapping[str, Any], given: Any) -> dict[str, Any]:
    """The columns of `given` that become another. Raises InvalidValue; Forbidden for one that is not written by hand."""
    changes = {}
    for name, value in _object(given).items():
        column = _column(shown, name)
        if name not in shown.served:
            if value not in (None, ""):
                raise Forbidden(f"{name} is never written here.")
            continue
        parsed = parsed_value(shown, column, value)
        if _same(parsed, row[name]):
            continue
        if name not in changeable:
            able = ", ".join(sorted(changeable))
            raise Forbidden(f"{shown.name}.{name} is not changed by hand. These are: {able}. Nothing was done.")
        changes[name] = _allowed(column, name, parsed)
    return changes


def values_of(shown: Shown, creatable: frozenset[str], given: Any) -> dict[str, Any]:
    """The columns of a new row. Raises InvalidValue; Forbidden for one that is not given by hand."""
    values = {}
    for name, value in _object(given).items():
        column = _column(shown, name)
        if name in _GIVEN_BY_US or (name not in shown.served and value in (None, "")):
            continue
        parsed = parsed_value(shown, column, value)
        if name in creatable:
            values[name] = _allowed(column, name, parsed)
        elif not _same(parsed, _default(column)):
            raise Forbidden(f"{shown.name}.{name} is not given to a new row by hand. Nothing was done.")
    for name in creatable:
        column = shown.table._meta.get_column_by_name(name)  # noqa: SLF001
        if name not in values and not column._meta.null and _default(column) is None:  # noqa: SLF001
            raise InvalidValue(f"{name} is missing.")
    return values


def parsed_value(shown: Shown, column: Column, value: Any) -> Any:
    """The value in the column's type. The text null is a text. Raises InvalidValue."""
    name = column._meta.name  # noqa: SLF001
    if isinstance(value, str):
        value = value.replace("\r\n", "\n")
        if isinstance(column, JSON | JSONB):
            return _json(name, value)
        if value == "" and column._meta.null and not isinstance(column, Text | Varchar):  # noqa: SLF001
            value = None
    elif isinstance(column, JSON | JSONB):
        return value
    try:
        found = getattr(_model(shown)(**{name: value}), name)
    except ValidationError as error:
        what = error.errors(include_url=False, include_input=False, include_context=False)[0]["msg"]
        raise InvalidValue(f"{name}: {what}.") from None
    return found.value if isinstance(found, Enum) else found


def _allowed(column: Column, name: str, value: Any) -> Any:
    if value is None and not column._meta.null:  # noqa: SLF001
        raise InvalidValue(f"{name} cannot be nothing.")
    return value


def _column(shown: Shown, name: str) -> Column:
    columns = {column._meta.name: column for column in shown.table._meta.columns}  # noqa: SLF001
    if name not in columns:
        raise InvalidValue(f"{shown.name} has no column {str(name)[:60]}.")
    return columns[name]


def _object(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise InvalidValue("Send one JSON object with the row's columns.")
    return given


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        raise InvalidValue(f"{name} is no JSON.") from None


def _same(value: Any, present: Any) -> bool:
    if isinstance(value, datetime) and isinstance(present, datetime):
        return abs(value - present) < _FORM_PRECISION
    if value == "" or present == "":
        return (value or "") == (present or "")
    return bool(value == present) and isinstance(value, bool) == isinstance(present, bool)


def _default(column: Column) -> Any:
    made = column.get_default_value()
    return made.value if isinstance(made, Enum) else made


@cache
def _model(shown: Shown) -> type[BaseModel]:
    return create_pydantic_model(shown.table, include_default_columns=True, all_optional=True)
