"""What the ledger must say, in plain Python: lists and sums, no locks, no SQL. The judge of `domain.credits`."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
GROWING = {"purchase": "purchases", "bonus": "bonuses", "adjustment": "adjustments"}
SHRINKING = {"usage": "usage", "expiry": "expiries"}


@dataclass
class Entry:
    id: UUID
    organization: UUID
    type: str
    signed: int
    refund_of: "Entry | None" = None


@dataclass
class Grant:
    entry: Entry
    remaining: int
    priority: int
    created: datetime
    expires: datetime | None = None
    due: bool = False

    @property
    def order(self) -> tuple[Any, ...]:
        return self.priority, self.expires or NEVER, self.created, self.entry.id


@dataclass
class Book:
    """One organization's."""

    entries: list[Entry] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    unspent: int = 0
    spent: int = 0
    held: dict[UUID, int] = field(default_factory=dict)
    ended: dict[UUID, tuple[str, int]] = field(default_factory=dict)

    @property
    def balance(self) -> int:
        return sum(entry.signed for entry in self.entries)

    @property
    def reserved(self) -> int:
        return sum(self.held.values())

    @property
    def available(self) -> int:
        return self.balance - self.unspent - self.reserved

    def balances(self) -> dict[str, int]:
        found = dict.fromkeys((*GROWING.values(), *SHRINKING.values()), 0)
        for entry in self.entries:
            origin = entry.refund_of.type if entry.refund_of else entry.type
            if origin in GROWING:
                found[GROWING[origin]] += entry.signed
            else:
                found[SHRINKING[origin]] -= entry.signed
        return found | {"balance": self.balance, "leased": self.unspent, "reserved": self.reserved}

    def due(self) -> list[tuple[Grant, int]]:
        """What must be lost now: grants in order, as far as something is available."""
        free, found = self.available, []
        for grant in sorted((each for each in self.grants if each.due and each.remaining), key=lambda each: each.order):
            taken = min(free, grant.remaining)
            free -= taken
            if taken:
                found.append((grant, taken))
        return found

    def refundable(self, original: Entry) -> int | None:
        """None: an entry of this type is never given back."""
        left = abs(original.signed) - sum(abs(each.signed) for each in self.entries if each.refund_of is original)
        if original.type == "usage":
            return left
        if original.type != "purchase":
            return None
        [grant] = [each for each in self.grants if each.entry is original]
        return min(left, grant.remaining, self.available)

    def burn(self, amount: int) -> None:
        for grant in sorted(self.grants, key=lambda each: each.order):
            taken = min(amount, grant.remaining)
            grant.remaining -= taken
            amount -= taken
        assert amount == 0, "the oracle itself lost count"


@dataclass
class Oracle:
    """All books, and what was done under which key."""

    books: dict[UUID, Book] = field(default_factory=lambda: defaultdict(Book))
    keys: dict[tuple[UUID, str], tuple[Any, UUID]] = field(default_factory=dict)
    paid: dict[Any, int] = field(default_factory=dict)

    def entry(self, id_: UUID, organization: UUID, type_: str, signed: int, refund_of: Entry | None = None) -> Entry:
        made = Entry(id_, organization, type_, signed, refund_of)
        self.books[organization].entries.append(made)
        return made

    def came(self, entry: Entry, created: datetime, priority: int, expires: datetime | None = None) -> None:
        """A grant for what came in."""
        self.books[entry.organization].grants.append(Grant(entry, entry.signed, priority, created, expires))

    def entries(self) -> list[Entry]:
        return [entry for book in self.books.values() for entry in book.entries]
