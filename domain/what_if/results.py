"""What a replay says: of each organization, of all together, and how it was come to.

Amounts are micro-credits; a month's price is in the hundredths of the currency. A range is one number where it was exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID


class Range(NamedTuple):
    """At the least and at the most."""

    least: int = 0
    most: int = 0

    def plus(self, other: "Range") -> "Range":
        """Both together."""
        return Range(self.least + other.least, self.most + other.most)

    def minus(self, other: "Range") -> "Range":
        """By how much it is more, both being wrong in the same way."""
        ends = self.least - other.least, self.most - other.most
        return Range(min(ends), max(ends))

    @property
    def exact(self) -> bool:
        """Whether there is one answer."""
        return self.least == self.most


NOTHING = Range()


class Standing(NamedTuple):
    """One side. `refused` counts requests, `spent` are credits taken from balances, `monthly_cents` the price of a month."""

    refused: Range = NOTHING
    spent: Range = NOTHING
    monthly_cents: int = 0
    out_of_credits: int = 0
    """Organizations that would have run out."""

    def plus(self, other: "Standing") -> "Standing":
        """Both together; prices of months in different currencies are not to be added."""
        return Standing(
            self.refused.plus(other.refused),
            self.spent.plus(other.spent),
            self.monthly_cents + other.monthly_cents,
            self.out_of_credits + other.out_of_credits,
        )


@dataclass(frozen=True, slots=True)
class LimitImpact:
    """One limit of the draft, or `credits`, by name. In shadow it has refused nothing, and `refused` is what it would have.

    One request may be refused by several. The window is the one with the most refusals, of those that were replayed
    exactly, by its begin.
    """

    name: str
    shadow: bool
    refused: Range
    first_at: datetime | None
    busiest_at: datetime | None
    busiest_refused: int


@dataclass(frozen=True, slots=True)
class Sample:
    """A request of the log that was let through and would not have been, and what would have refused it."""

    request_id: UUID
    at: datetime
    refused_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Impact:
    """One organization. `asked` are its requests that limits and prices decide about, `estimated` those of them that only
    rollups know. `recorded_refused` and `recorded_spent` are what happened in fact, under whatever held then.
    """

    organization_id: UUID
    slug: str
    name: str
    plan: str
    asked: Range
    estimated: int
    recorded_refused: int
    recorded_spent: int
    now: Standing
    draft: Standing
    currency: str
    limits: tuple[LimitImpact, ...]
    first_refused_at: datetime | None
    out_of_credits_at: datetime | None
    samples: tuple[Sample, ...]

    @property
    def refused_difference(self) -> Range:
        """Requests that the draft would refuse and the present terms do not; less than 0: the other way round."""
        return self.draft.refused.minus(self.now.refused)

    @property
    def spent_difference(self) -> Range:
        """Micro-credits that the draft would bring more."""
        return self.draft.spent.minus(self.now.spent)

    @property
    def monthly_difference(self) -> int:
        """Hundredths a month that the draft would bring more."""
        return self.draft.monthly_cents - self.now.monthly_cents

    @property
    def weight(self) -> tuple[int, int, int]:
        """What the list is sorted by, the greatest first: refusals, then credits, then the price of a month."""
        refused, spent = self.refused_difference, self.spent_difference
        return _size(refused), _size(spent), abs(self.monthly_difference)


NOBODY = Standing()


@dataclass(frozen=True, slots=True)
class Totals:
    """Of all organizations, those that are not listed too."""

    organizations: int = 0
    asked: Range = NOTHING
    estimated: int = 0
    recorded_refused: int = 0
    recorded_spent: int = 0
    now: Standing = NOBODY
    draft: Standing = NOBODY
    refused_more: int = 0
    """Organizations of which the draft would refuse more requests."""
    spend_more: int = 0
    spend_less: int = 0

    def plus(self, one: Impact) -> "Totals":
        """With one more organization."""
        return Totals(
            self.organizations + 1,
            self.asked.plus(one.asked),
            self.estimated + one.estimated,
            self.recorded_refused + one.recorded_refused,
            self.recorded_spent + one.recorded_spent,
            self.now.plus(one.now),
            self.draft.plus(one.draft),
            self.refused_more + (one.refused_difference.most > 0),
            self.spend_more + (one.spent_difference.most > 0),
            self.spend_less + (one.spent_difference.least < 0),
        )


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The answer. Before `exact_since` only rollups were there. `cut` says in words why it ended early; empty: it did not.

    `notes` are sentences about what could not be as in the gateway. `impacts` has the organizations that asked anything,
    the hardest hit first, at most as many as were wanted; `left_off` is how many there are besides.
    """

    draft: str
    currency: str
    since: datetime
    until: datetime
    exact_since: datetime
    totals: Totals
    impacts: tuple[Impact, ...]
    left_off: int
    not_replayed: int
    rows: int
    seconds: float
    cut: str
    notes: Sequence[str]


def _size(one: Range) -> int:
    return max(abs(one.least), abs(one.most))
