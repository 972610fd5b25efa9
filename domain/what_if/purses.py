"""An organization's credits while logged requests are paid with them once more."""

from collections.abc import Sequence

from domain.quotas.periods import month_bounds
from domain.what_if.counters import SECOND


class Purse:
    """`balance` micro-credits at the begin; `movements` are what came and went otherwise: (microsecond, micro-credits) in
    the order of time. `included` is free in each month from `anchor` on, and goes first; the first month has all of it.

    `spent` is what was taken from the balance. `emptied_at` is the first moment at which it was not enough.
    """

    __slots__ = (
        "_anchor",
        "_balance",
        "_free",
        "_included",
        "_month_end",
        "_movements",
        "_next",
        "emptied_at",
        "spent",
    )

    def __init__(
        self, balance: int, movements: Sequence[tuple[int, int]] = (), included: int = 0, anchor: float | None = None
    ) -> None:
        self._balance, self._movements, self._included, self._anchor = balance, movements, included, anchor
        self._next = self._free = self._month_end = self.spent = 0
        self.emptied_at: int | None = None

    def has(self, at: int, price: int) -> bool:
        """Whether a request of `at` can be paid; moments never go back."""
        while self._next < len(self._movements) and self._movements[self._next][0] <= at:
            self._balance += self._movements[self._next][1]
            self._next += 1
        if self._included and at >= self._month_end:
            self._free = self._included
            self._month_end = month_bounds(self._anchor, at / SECOND)[2] * SECOND
        if price <= self._balance + self._free:
            return True
        if self.emptied_at is None:
            self.emptied_at = at
        return False

    def pay(self, cost: int) -> None:
        """What a request came to; `has` was asked before."""
        free = min(cost, self._free)
        self._free -= free
        self._balance -= cost - free
        self.spent += cost - free
