"""What this worker may still admit in one window of one limit, of one organization or of one key.

All buckets that contain the window share its allowance, and there is one object for it in a worker, because what a
holder tells Redis of a window is absolute: spent since the window began, unspent now. Invariants: `left` permits may be
spent before `deadline` (monotonic seconds of this machine); `kept - left` have been spent; Redis counts at least
`kept` as used. A permit is in `left` only after Redis has granted it, and leaves `left` before its return is told.
"""

import math
from time import monotonic
from typing import TYPE_CHECKING, Union
from uuid import UUID

from domain.quotas.book import Book
from domain.quotas.periods import month_bounds
from domain.quotas.shapes import CONCURRENT, MONTH, SHAPES, SLIDING
from domain.quotas.windows import WINDOW_SECONDS, bounds
from domain.snapshots import KeySnapshot, LimitSnapshot, PlanSnapshot

if TYPE_CHECKING:
    from domain.quotas.account import Account

Cells = Union[list[int], "memoryview[int]"]
LEFT, KEPT, TAG = 0, 1, 2
"""Cells of an allowance in a lease book."""
CHECKED, NOT_REFILLED, UNKNOWN = -3, -2, -1
"""What a call says instead of what the rollups say: ask me if the window may have been there before (-1), or in any case
(-3, of a window that may have begun before anybody counted); never ask (-2)."""
_CHECKED_AT = -4
_LEAST_WANTED, _MOST_WANTED = 32, 100_000
_SLOTS_WANTED = 4
_HORIZON_SECONDS = 1.0
_SHORTEST_SECONDS = 0.02
_WARM_SECONDS = 5.0
"""Who has not asked for so long gets what it needs and nothing ahead: most keys of a large gateway ask once in a while."""


class Allowance:
    """The balance of one window. Take from it through a `Bucket`.

    `stride` is the most that a request took of late; `pending` how many requests are in progress that may give back what
    they took; `plan` whose quota costs apply to what the rollups say.
    """

    __slots__ = (
        "account", "amount", "anchor", "at", "base", "cells", "deadline", "debt", "debt_since", "heard", "heard_at", "kept", "key_id", "kind", "left", "lent",
        "limit", "low", "marked_at", "marked_spent", "misses", "name", "others", "pending", "plan", "quiet", "rate", "refill", "reset_at", "retired", "returning",
        "seconds", "seen_at", "seen_spent", "sent_as", "sent_debt", "sent_left", "sent_spent", "shut_until", "shut_weight", "since", "spent_at", "stride",
        "tag", "told", "used", "wheeled",
    )  # fmt: skip

    def __init__(
        self, account: "Account", name: str, limit: LimitSnapshot, key: KeySnapshot, plan: PlanSnapshot
    ) -> None:
        self.account, self.name, self.limit, self.plan = account, name, limit, plan
        self.key_id: UUID = key.id
        self.anchor = key.month_anchor
        self.amount, self.kind = limit.amount, SHAPES[limit.period].kind
        self.seconds = WINDOW_SECONDS[limit.period]
        self.cells: Cells = [0, 0, 0]
        self.base = self.at = 0
        self.left = self.kept = self.told = self.tag = self.lent = self.debt = 0
        self.used = self.others = self.misses = self.heard = self.sent_as = 0
        self.sent_spent = self.sent_left = self.sent_debt = self.seen_spent = self.marked_spent = 0
        self.low, self.refill = -1, NOT_REFILLED
        self.stride = self.shut_weight = self.pending = 0
        self.debt_since = self.deadline = self.reset_at = self.shut_until = self.rate = self.seen_at = 0.0
        self.since, self.marked_at, self.heard_at, self.spent_at = math.inf, 0.0, 0.0, 0.0
        self.returning = self.wheeled = self.quiet = self.retired = False

    @property
    def booked(self) -> bool:
        """Whether the balance stands in a lease book."""
        return isinstance(self.cells, memoryview)

    def enter(self, book: Book) -> None:
        """Keep the balance in a book from now on. Only before anything was granted."""
        shape = SHAPES[self.limit.period]
        cell = book.enter(self.name, f"{self.kind} {self.amount} {shape.length} 1{shape.tail}")
        if cell is not None:
            self.cells, self.base, self.at = book.cells, cell, cell + LEFT

    def unbook(self) -> None:
        """Out of the book: what is left can't be spent any more."""
        self.cells, self.base, self.at = [0, 0, 0], 0, 0
        self.deadline = 0.0

    @property
    def enforced(self) -> bool:
        """False for a shadow limit, which is counted and never asked for."""
        return not self.limit.shadow

    @property
    def outstanding(self) -> bool:
        """Whether Redis must still be told something: of permits or slots held, or of spending."""
        if self.kind == CONCURRENT:
            return bool(self.kept or self.lent)
        return bool(self.left or self.lent or self.debt or (self.limit.shadow and self.kept != self.told))

    def use(self, limit: LimitSnapshot, key: KeySnapshot, plan: PlanSnapshot) -> None:
        """From now on it is that of `limit`, as `plan` and `key` have it. Less than before holds at once."""
        lowered = limit.amount < self.amount
        self.limit, self.amount, self.anchor, self.plan = limit, limit.amount, key.month_anchor, plan
        if lowered and (self.left or self.lent):
            self.returning, self.deadline = True, 0.0
            self.account.mark(self)

    def lack(self) -> None:
        """The balance is low: ask for more, once, in the background."""
        self.low = -1
        self.account.mark(self)

    def count(self, permits: int) -> None:
        """Spend (or with a negative number give back) without having been granted: shadow limits, local slots."""
        self.kept += permits
        self.spent_at = monotonic()
        if not self.wheeled:
            self.account.watch(self)

    def give_up(self) -> None:
        """Let go of what is unspent. The next call tells Redis."""
        if self.left:
            left, self.left = self.left, 0
            self.cells[self.at] = 0
            self.kept -= left
            self.cells[self.base + KEPT] = self.kept
        self.low = -1

    def put_back(self, permits: int) -> None:
        """Unspend: what is owed first, for a debt that is not told yet dies with its worker, and a balance does not."""
        if self.debt and not self.account.busy:
            forgiven = min(self.debt, permits)
            self.debt -= forgiven
            permits -= forgiven
        if permits:
            self.left += permits
            self.cells[self.at] = self.left
            if not self.wheeled:
                self.account.watch(self)

    def owe(self, clock: float, permits: int) -> None:
        """Admitted without Redis: to be charged when it is back, if the window is still the same."""
        if self.kind == CONCURRENT:
            self.count(permits)
            return
        if clock >= self._end_of_debt():
            self.debt = 0
        if not self.debt:
            self.debt_since = clock
        self.debt += permits
        self.account.mark(self, later=True)

    def _end_of_debt(self) -> float:
        if self.kind == MONTH:
            return month_bounds(self.anchor, self.debt_since)[2]
        return bounds(self.limit.period, self.debt_since)[1]

    def refilled(self, figure: int) -> None:
        """What the rollups say, for the next call; 0 if they can't be read."""
        self.refill = _CHECKED_AT - figure if self.refill == CHECKED else figure

    def words(self, now: float, clock: float, sequence: int) -> str:
        """The window's argument of lease.lua, as of now. `clock` is Unix time, may be wrong by days."""
        concurrent = self.kind == CONCURRENT
        returning, self.returning = self.returning, False
        if returning or now >= self.deadline:
            self.give_up()
        if self.debt and clock >= self._end_of_debt():
            self.debt = 0
        spent = self.kept - self.left
        want = self._wanted(spent, now) if self.enforced and not returning else 0
        debt = spent if self.limit.shadow and not self.tag and not concurrent else self.debt
        self.sent_spent, self.sent_left, self.sent_debt = spent, self.left, self.debt
        self.seen_at = now
        shape = SHAPES[self.limit.period]
        heard = self.told if self.kind == SLIDING else self.heard
        told = (0, 0, self.kept, self.left) if concurrent else (spent, heard, self.left, debt)
        self.sent_as = sequence
        tail = shape.tail
        if self.kind == MONTH:
            tail = "".join(f" {start}" for start in month_bounds(self.anchor, clock))
        elif self.kind == SLIDING:
            tail = f"{tail} {int((now - self.heard_at) * 1000)} {self.heard} {int((now - self.spent_at) * 1000)}"
        return (
            f"{self.kind} {self.amount} {shape.length} {1 if self.enforced else 0} {want} {self.tag} "
            f"{told[0]} {told[1]} {told[2]} {told[3]} {self.refill}{tail}"
        )

    def absorb(self, answer: list[int], sent: float, now: float) -> None:
        """Take in what Redis said of this window on `words`, which were sent at `sent`."""
        granted, self.used, reset_ms, self.others, life_ms, tag = answer
        self.heard, self.heard_at = self.sent_as, now
        if self.kind == CONCURRENT:
            self.lent = granted + self.sent_left + self.sent_spent
        elif tag == self.tag or (self.kind == SLIDING and self.tag):
            self.told, self.lent = self.sent_spent, self.sent_left + granted
        else:
            self._turn(sent)
            self.lent = granted
        self._receive(granted, tag)
        self.debt -= self.sent_debt
        self.deadline, self.reset_at = sent + life_ms / 1000, now + reset_ms / 1000
        if self.enforced and self.used < self.amount and self.left >= 6 * self.stride > 0 and self.kind != CONCURRENT:
            self.low = self.left // 3
        else:
            self.low = -1
        self.stride = max(self.stride // 2, 1) if self.stride else 0
        if granted and self.free() >= self.shut_weight:
            self.misses, self.shut_until = 0, 0.0

    def _turn(self, sent: float) -> None:
        """A window that this worker has not held permits of: nothing of the former counts in it.

        Takes while the call was under way were of the former window, except in shadow, where nobody is sure.
        """
        self.cells[self.base + TAG] = 0
        self.kept, self.left = 0 if self.enforced else self.kept - self.sent_spent, 0
        self.cells[self.at], self.cells[self.base + KEPT] = 0, self.kept
        self.told = self.seen_spent = 0
        self.since = sent

    def _receive(self, granted: int, tag: int) -> None:
        # In this order: a worker that is killed in between leaves a book that says too much was spent, never too little.
        self.kept += granted
        self.cells[self.base + KEPT] = self.kept
        self.left += granted
        self.cells[self.at] = self.left
        if tag != self.tag or not self.cells[self.base + TAG]:
            self.tag = tag
            self.cells[self.base + TAG] = tag

    def _wanted(self, spent: int, now: float) -> int:
        """Balance to have ahead of need: what the recent rate spends in the horizon."""
        if self.kind == CONCURRENT:
            return _SLOTS_WANTED
        if now - self.seen_at > _WARM_SECONDS:
            self.seen_spent, self.rate = spent, 0.0
            return 0
        recent = max(0, spent - self.seen_spent) / max(now - self.seen_at, _SHORTEST_SECONDS)
        self.rate = recent if recent > self.rate else (self.rate + recent) / 2
        self.seen_spent = spent
        return min(max(_LEAST_WANTED * self.stride, int(self.rate * _HORIZON_SECONDS)), _MOST_WANTED * self.stride)

    def free(self) -> int:
        """Permits that are here, or were still to be had by Redis's last word."""
        return self.amount - self.used + self.left

    def lacks(self, permits: int) -> bool:
        """Whether there are fewer, neither here nor to be had."""
        return self.left < permits and self.free() < permits

    def recallable(self, permits: int) -> bool:
        """Whether there are as many together with what others hold."""
        return self.others > 0 and self.free() + self.others >= permits

    def shuts_out(self, permits: int, now: float) -> bool:
        """Whether so many are refused here for now, without asking Redis."""
        return self.left < permits and (
            (now < self.shut_until and permits >= self.shut_weight) or permits > self.amount
        )

    def remaining(self) -> int:
        """What can still be admitted, as far as this worker knows; never negative."""
        free = self.amount - self.used_now()
        return max(0, free)

    def used_now(self) -> int:
        """Spent by everybody, and held by others, as far as this worker knows."""
        if self.limit.shadow:
            return self.used + self.kept - self.sent_spent
        return self.used + self.debt - self.left

    def turn_shadow(self, now: float) -> None:
        """The window of a shadow limit is over, as far as this worker knows."""
        self.kept = self.told = self.tag = self.used = self.sent_spent = self.seen_spent = 0
        self.reset_at = now + WINDOW_SECONDS[self.limit.period]

    def shut(self, now: float, permits: int) -> None:
        """Redis has not so many left: refuse here for a while, so that an insistent caller costs no call per request.

        Who needs less still asks.
        """
        most = 0.1 if self.kind == CONCURRENT else 0.25 if self.limit.period == "second" else 1.0
        if self.recallable(permits):
            # Somebody holds permits and did not give them back within a recall: ask less and less often.
            self.misses = min(self.misses + 1, 6)
            most = min(most, 0.02 * 2**self.misses)
        self.shut_weight = permits
        self.shut_until = now + min(most, max(0.001, self.reset_at - now))
