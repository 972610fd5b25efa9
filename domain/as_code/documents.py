"""Plans, services and operations as a file says them, or as the database has them: values by field."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from domain.as_code.mistakes import START, Place

Id = tuple[str, ...]
"""("plan", slug), ("service", slug), ("operation", service's slug, "GET /path") or ("operator", e-mail address)."""


@dataclass(slots=True)
class Entry:
    """One object. `values` holds what is said of it; `places` where each field stands, and each `field.name` inside.

    Micro-credits are integers, lists are tuples; limits are texts by name; prices are (micro-credits, units) by
    "SERVICE METHOD /path".
    """

    id: Id
    place: Place = START
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    def place_of(self, *names: str) -> Place:
        """Where the first of these stands that the file has; else where the object begins."""
        return next((self.places[name] for name in names if name in self.places), self.place)


@dataclass(slots=True)
class Document:
    """Everything by id. `exported_state` says from what a file was exported; empty: it does not say.

    `says_operators`: who is none of its operators is to be none; else it says nothing of them.
    """

    entries: dict[Id, Entry] = field(default_factory=dict)
    exported_state: str = ""
    says_operators: bool = False
    operators_place: Place = START

    def without_operators(self) -> "Document":
        """The same that says nothing of operators."""
        entries = {entry_id: entry for entry_id, entry in self.entries.items() if entry_id[0] != "operator"}
        return Document(entries, self.exported_state)

    def of_kind(self, kind: str) -> list[Entry]:
        """The plans, services, operations or operators, in their order."""
        return [entry for entry in self.entries.values() if entry.id[0] == kind]


def described(entry_id: Id) -> str:
    """`plan free`, `operation demo GET /hello`."""
    return " ".join(entry_id)


def state_of(present: Document) -> str:
    """A short digest of all values: two states with one digest are the same."""
    rows = {described(entry_id): entry.values for entry_id, entry in present.entries.items()}
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:16]
