"""What a request may ask of a table: known filters, indexed orders, pages that end. All else is a 400 with a sentence.

The question is written anew for piccolo-admin, so nothing of the request reaches it that was not looked at.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from piccolo.columns import BigInt, BigSerial, Text, Varchar
from piccolo_api.crud.endpoints import MATCH_TYPES, OPERATOR_MAP
from pydantic import ValidationError

from admin.tables.panel import PAGE_SIZE, crud
from admin.tables.shown import Shown
from domain.faults import Fault, NotFound

MOST_ROWS = 10_000
"""How far pages go: behind that, somebody has to filter."""
MOST_AT_ONCE = 1_000
MOST_IDS = 100
_LONGEST = 500
_LONGEST_SEARCH = 100
_LARGEST_INTEGER = 2**31 - 1
_TRUE = frozenset({"true", "True", "1", "t"})

Pairs = list[tuple[str, str]]


class BadQuestion(Fault):
    """A question that is not answered, and why."""

    code = "bad_question"


def of_rows(shown: Shown, given: Iterable[tuple[str, str]], *, paged: bool = True) -> Pairs:
    """The question of a list or, not `paged`, of a count. Raises BadQuestion."""
    asked = _collected(shown, given)
    pairs = _filters(shown, asked)
    listed = [("__visible_fields", _visible(shown, asked)), ("__order", _order(shown, asked))]
    if paged:
        pairs += [*listed, *_page(asked), *_readable(asked)]
    _checked(shown, pairs)
    return pairs


def of_row(shown: Shown, given: Iterable[tuple[str, str]]) -> Pairs:
    """The question of one row: all columns that are served. Raises BadQuestion."""
    asked = _collected(shown, given)
    if unknown := [name for name in asked if name not in ("__readable", "__visible_fields")]:
        raise BadQuestion(f"One row is not asked for by {unknown[0][:60]}.")
    return [("__visible_fields", _visible(shown, asked)), *_readable(asked)]


def of_ids(shown: Shown, given: Iterable[tuple[str, str]]) -> Pairs:
    """The question of a picker: some ids with their names. Raises BadQuestion."""
    asked = dict(given)
    if unknown := sorted(asked.keys() - {"search", "limit", "offset"}):
        raise BadQuestion(f"Ids are not asked for by {unknown[0][:60]}.")
    pairs = [
        ("limit", str(_number("limit", asked.get("limit", str(MOST_IDS)), 1, MOST_IDS))),
        ("offset", str(_number("offset", asked.get("offset", "0"), 0, MOST_ROWS))),
    ]
    search = asked.get("search", "")
    if not search:
        return pairs
    if shown.large:
        raise BadQuestion(f"The table {shown.name} is too large to search by name: paste the id into its filter.")
    if len(search) > _LONGEST_SEARCH:
        raise BadQuestion(f"Search for at most {_LONGEST_SEARCH} characters.")
    return [*pairs, ("search", search)]


def row_id(shown: Shown, text: str) -> Any:
    """A row's id in its type. Raises NotFound for what can be none."""
    kind: type = shown.table._meta.primary_key.value_type  # noqa: SLF001
    try:
        value = kind(text)
    except ValueError:
        raise NotFound("There is no row with this id.") from None
    wide = isinstance(shown.table._meta.primary_key, BigInt | BigSerial)  # noqa: SLF001
    if kind is int and not 0 < value <= (2**63 - 1 if wide else _LARGEST_INTEGER):
        raise NotFound("There is no row with this id.")
    return value


def for_csv(pairs: Pairs) -> bool:
    """Whether the question is one of piccolo-admin's export: no page on the screen is as long."""
    return ("__page_size", str(MOST_AT_ONCE)) in pairs


def written(pairs: Pairs) -> bytes:
    """The question as piccolo-admin reads it."""
    return urlencode(pairs).encode()


def _collected(shown: Shown, given: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Values by name; a name that comes twice has several. Raises BadQuestion for one that means nothing."""
    ours = {"__page", "__page_size", "__order", "__visible_fields", "__readable"}
    found: dict[str, list[str]] = {}
    for name, value in given:
        plain = name.removesuffix("[]")
        column = plain.removesuffix("__match").removesuffix("__operator")
        if plain not in ours and column not in shown.filterable:
            allowed = ", ".join(sorted(shown.filterable))
            raise BadQuestion(f"{shown.name} is not filtered by {column[:60]}. It is by: {allowed}.")
        if len(value) > _LONGEST:
            raise BadQuestion(f"{plain[:60]} is longer than {_LONGEST} characters.")
        found.setdefault(plain, []).append(value)
    return found


def _filters(shown: Shown, asked: Mapping[str, list[str]]) -> Pairs:
    pairs: Pairs = []
    for name, column in shown.served.items():
        operator = asked.get(f"{name}__operator", [""])[0]
        if operator and operator not in OPERATOR_MAP:
            raise BadQuestion(f"{operator[:20]} is no comparison; these are: {', '.join(OPERATOR_MAP)}.")
        if operator in ("is_null", "not_null"):
            pairs.append((f"{name}__operator", operator))
        elif name in asked:
            text = isinstance(column, Text | Varchar)
            match = asked.get(f"{name}__match", [MATCH_TYPES[0]])[0]
            pairs += _compared(shown, name, asked[name], match) if text else [(name, value) for value in asked[name]]
            pairs += [(f"{name}__operator", operator)] if operator and not text else []
    return pairs


def _compared(shown: Shown, name: str, values: list[str], match: str) -> Pairs:
    """A text is compared whole in a large table: no index finds a part of one."""
    if match not in MATCH_TYPES:
        raise BadQuestion(f"{match[:20]} is no way to compare texts; these are: {', '.join(MATCH_TYPES)}.")
    match = "exact" if shown.large else match
    return [*((name, _null_as_text(value, match)) for value in values), (f"{name}__match", match)]


def _null_as_text(value: str, match: str) -> str:
    """Piccolo takes the text null for nothing, whatever it is compared with; in a pattern it can be written otherwise."""
    if value.lower() != "null":
        return value
    if match == "exact":
        raise BadQuestion("The text null cannot be compared whole here: choose contains, or is null.")
    return f"{value[:-1]}\\{value[-1]}"


def _visible(shown: Shown, asked: Mapping[str, list[str]]) -> str:
    names = [name for value in asked.get("__visible_fields", []) for name in value.split(",")]
    for name in names:
        if name not in shown.served:
            raise BadQuestion(f"{shown.name} shows no column {name[:60]}.")
    return ",".join(names or shown.served)


def _order(shown: Shown, asked: Mapping[str, list[str]]) -> str:
    names = [name for value in asked.get("__order", []) for name in value.split(",") if name]
    for name in names:
        if name.removeprefix("-") not in shown.orderable:
            allowed = ", ".join(sorted(shown.orderable))
            raise BadQuestion(f"{shown.name} is not ordered by {name.removeprefix('-')[:60]}. It is by: {allowed}.")
    if len(names) > 3:
        raise BadQuestion("Order by at most three columns.")
    return ",".join(names or [shown.order])


def _page(asked: Mapping[str, list[str]]) -> Pairs:
    size = _number("__page_size", asked.get("__page_size", [str(PAGE_SIZE)])[0], 1, MOST_AT_ONCE)
    page = _number("__page", asked.get("__page", ["1"])[0], 1, None)
    if page * size > max(MOST_ROWS, size):
        raise BadQuestion(f"Pages go up to row {MOST_ROWS}. Filter, to see what lies behind.")
    return [("__page", str(page)), ("__page_size", str(size))]


def _readable(asked: Mapping[str, list[str]]) -> Pairs:
    given = asked.get("__readable", [""])[0]
    if given and given not in _TRUE:
        raise BadQuestion("__readable is true, or left out.")
    return [("__readable", "true")] if given else []


def _number(name: str, text: str, least: int, most: int | None) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10) or int(text) < least:
        raise BadQuestion(f"{name} is a whole number from {least}{'' if most is None else f' to {most}'}.")
    if most is not None and int(text) > most:
        raise BadQuestion(f"{name} is at most {most}.")
    return int(text)


def _checked(shown: Shown, pairs: Pairs) -> None:
    """Raise BadQuestion for a value that its column cannot hold."""
    values: dict[str, Any] = {}
    for name, value in pairs:
        if not name.startswith("__") and not name.endswith(("__match", "__operator")):
            values[name] = [*values[name], value] if name in values else [value]
    arrays = {column._meta.name for column in shown.table._meta.array_columns}  # noqa: SLF001
    for name, given in values.items():
        for value in [given] if name in arrays else given:
            try:
                crud(shown).pydantic_model_filters(**{name: value})
            except ValidationError as error:
                what = error.errors(include_url=False, include_input=False, include_context=False)[0]["msg"]
                raise BadQuestion(f"{name}: {what}.") from None
