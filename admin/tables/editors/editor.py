"""How rows of one table are written by hand: by the domain's own command, which checks them as everywhere else."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from domain.audit import Verb

Row = Mapping[str, Any]
"""A row, or some columns of one, by name, as asyncpg has them; JSON as Python values."""


@dataclass(frozen=True, slots=True)
class Editor:
    """What may be written of a table. `change` gets the row as it is and the columns that become another.

    All three work in the caller's transaction and raise domain faults. `lock` orders two edits of one row: a statement
    that takes its id.
    """

    changeable: frozenset[str]
    change: Callable[[Any, Row, Row], Awaitable[None]]
    lock: str
    creatable: frozenset[str] = frozenset()
    create: Callable[[Any, Row], Awaitable[Any]] | None = None
    """Gets the columns; returns the id."""
    delete: Callable[[Any, Row], Awaitable[None]] | None = None
    verb: Verb = Verb.TABLE_CHANGE
    """What a change is called in the audit."""
    owner: str = ""
    """The column that holds the organization whose audit shows it."""


def names(text: str) -> frozenset[str]:
    """Columns, written with blanks between."""
    return frozenset(text.split())
