"""What would change: objects, and each field of them from what to what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.as_code.documents import Document, Entry, Id
from domain.as_code.fields import FIELDS, NO_ROLE, Field
from domain.credit_amounts import credits_text

CREATED, CHANGED, DISABLED = "created", "changed", "disabled"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One value, as people write it; None: there is none."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """One object. `how` is created, changed or disabled; `values` are the new ones of the fields that differ."""

    id: Id
    how: str
    fields: tuple[FieldChange, ...]
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Differences:
    """`left_alone` are objects of the database that the file does not name."""

    changes: tuple[Change, ...]
    unchanged: int
    left_alone: tuple[Id, ...]


@dataclass(slots=True)
class _Found:
    changes: list[Change] = field(default_factory=list)
    unchanged: int = 0
    left_alone: list[Id] = field(default_factory=list)


def differences_of(document: Document, present: Document, *, prune: bool = False) -> Differences:
    """What makes `present` what `document` says. `prune`: what it does not name is disabled, never deleted."""
    found = _Found()
    for entry in document.entries.values():
        change = _change(entry, present.entries.get(entry.id))
        if change is None:
            found.unchanged += 1
        else:
            found.changes.append(change)
    for entry in present.entries.values():
        if entry.id not in document.entries:
            _leave(found, entry, document, prune=prune)
    return Differences(tuple(found.changes), found.unchanged, tuple(found.left_alone))


def defaults_of(entry_id: Id) -> dict[str, Any]:
    """The values of a new object of which a file says nothing."""
    values = {field.name: field.default for field in FIELDS[entry_id[0]]}
    if "name" in values:
        values["name"] = entry_id[-1][:120]
    return values


def value_text(field: Field, value: Any) -> str | None:
    """One value as people write it."""
    if value is None:
        return None
    if field.kind == "credits":
        return credits_text(value)
    if field.kind == "flag":
        return "true" if value else "false"
    if field.kind == "texts":
        return f"[{', '.join(value)}]"
    return str(value) if value != "" else '""'


def _change(entry: Entry, before: Entry | None) -> Change | None:
    known = before.values if before else defaults_of(entry.id)
    values = {name: value for name, value in entry.values.items() if value != known[name]}
    if not values and (before or entry.id[0] == "operator"):  # who has no role need not be there
        return None
    fields = [
        change
        for each in FIELDS[entry.id[0]]
        if each.name in (values if before else entry.values)
        for change in _field_changes(each, before.values[each.name] if before else None, entry.values[each.name])
    ]
    how = DISABLED if values.get("role") == NO_ROLE else CHANGED if before else CREATED
    return Change(entry.id, how, tuple(fields), values if before else dict(entry.values))


def _field_changes(field: Field, before: Any, after: Any) -> list[FieldChange]:
    if field.kind in {"limits", "prices"}:
        old, new = before or {}, after or {}
        return [
            FieldChange(f"{field.name}.{name}", _part_text(old, name), _part_text(new, name))
            for name in (*new, *(name for name in old if name not in new))
            if old.get(name) != new.get(name)
        ]
    return [FieldChange(field.name, value_text(field, before), value_text(field, after))]


def _part_text(parts: Mapping[str, Any], name: str) -> str | None:
    value = parts.get(name)
    if not isinstance(value, list):
        return value
    price, units = value
    said = [] if price is None else [f"{credits_text(price)} credits"]
    return " and ".join([*said, *([] if units is None else [f"{units} units"])])


def _leave(found: _Found, entry: Entry, document: Document, *, prune: bool) -> None:
    if entry.id[0] == "operator":
        if document.says_operators and prune:
            gone = FieldChange("role", entry.values["role"], NO_ROLE)
            found.changes.append(Change(entry.id, DISABLED, (gone,), {"role": NO_ROLE}))
        elif document.says_operators:
            found.left_alone.append(entry.id)
        return
    switch = "active" if entry.id[0] == "plan" else "enabled"
    # Of a service that goes, the operations stay as they are: it may come back as it was.
    orphan = entry.id[0] == "operation" and ("service", entry.id[1]) not in document.entries
    if not prune or orphan or not entry.values[switch]:
        found.left_alone.append(entry.id)
        return
    off = FieldChange(switch, "true", "false")
    found.changes.append(Change(entry.id, DISABLED, (off,), {switch: False}))
