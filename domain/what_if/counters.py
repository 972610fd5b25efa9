"""The windows of limits over logged time: the same edges as in `domain/quotas`, counted by one who sees every request.

A counter is asked in the order of time. Moments are whole microseconds (Unix), ends of requests too.
"""

import heapq
from collections import deque
from typing import Protocol

from domain.quotas.periods import month_bounds
from domain.quotas.shapes import SHAPES, SLIDING
from domain.quotas.windows import bounds
from domain.snapshots import LimitSnapshot

SECOND = 1_000_000


class Counter(Protocol):
    """One window, of an organization or of a key."""

    def left(self, at: int) -> int:
        """Permits that are free at `at`; less than 0 in shadow."""

    def take(self, at: int, ends: int, permits: int) -> None:
        """A request of `at` that ends at `ends` has taken so many."""

    def begun(self, at: int) -> int:
        """First microsecond of the window that `at` lies in, for people."""


class FixedCounter:
    """Hour, day, or month from the subscription's anchor. `used`: what was taken of the window that `at` lies in before."""

    def __init__(self, limit: LimitSnapshot, anchor: float | None, at: int = 0, used: int = 0) -> None:
        self._amount, self._period, self._anchor = limit.amount, limit.period, anchor
        self._begun = self._end = self._used = 0
        if used:
            self._turn(at)
            self._used = used

    def left(self, at: int) -> int:
        """As of `Counter`."""
        if at >= self._end:
            self._turn(at)
        return self._amount - self._used

    def take(self, at: int, ends: int, permits: int) -> None:
        """As of `Counter`."""
        del at, ends
        self._used += permits

    def begun(self, at: int) -> int:
        """As of `Counter`."""
        if at >= self._end:
            self._turn(at)
        return self._begun

    def _turn(self, at: int) -> None:
        if self._period == "month":
            _, first, following, _ = month_bounds(self._anchor, at / SECOND)
        else:
            first, following = bounds(self._period, at // SECOND)
        self._begun, self._end, self._used = first * SECOND, following * SECOND, 0


class SlidingCounter:
    """Second and minute: every permit counts in its slot (`domain.quotas.shapes`) until the window has passed all of it."""

    def __init__(self, limit: LimitSnapshot) -> None:
        shape = SHAPES[limit.period]
        self._amount, self._slot_us = limit.amount, shape.length * 1_000
        self._slots = int(shape.tail.split()[0])
        self._length = self._slots * self._slot_us
        self._taken: deque[list[int]] = deque()
        self._used = 0

    def left(self, at: int) -> int:
        """As of `Counter`."""
        oldest = at // self._slot_us - self._slots
        taken = self._taken
        while taken and taken[0][0] < oldest:
            self._used -= taken.popleft()[1]
        return self._amount - self._used

    def take(self, at: int, ends: int, permits: int) -> None:
        """As of `Counter`."""
        del ends
        slot = at // self._slot_us
        if self._taken and self._taken[-1][0] == slot:
            self._taken[-1][1] += permits
        else:
            self._taken.append([slot, permits])
        self._used += permits

    def begun(self, at: int) -> int:
        """As of `Counter`."""
        return at - at % self._length


class InProgress:
    """Requests at once."""

    def __init__(self, limit: LimitSnapshot) -> None:
        self._amount = limit.amount
        self._ends: list[int] = []

    def left(self, at: int) -> int:
        """As of `Counter`."""
        ends = self._ends
        while ends and ends[0] <= at:
            heapq.heappop(ends)
        return self._amount - len(ends)

    def take(self, at: int, ends: int, permits: int) -> None:
        """As of `Counter`."""
        del at
        for _ in range(permits):
            heapq.heappush(self._ends, ends)

    def begun(self, at: int) -> int:
        """As of `Counter`."""
        return at - at % (3_600 * SECOND)


def counter_of(limit: LimitSnapshot, anchor: float | None, at: int = 0, used: int = 0) -> Counter:
    """The window of a limit; `anchor` as in `domain.quotas.periods`."""
    if limit.period == "concurrent":
        return InProgress(limit)
    if SHAPES[limit.period].kind == SLIDING:
        return SlidingCounter(limit)
    return FixedCounter(limit, anchor, at, used)
