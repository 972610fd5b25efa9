"""The limits that one key's requests to one operation must fit into, as a tuple of shared allowances."""

import math
from time import monotonic
from typing import Any

from domain.quotas.account import Account
from domain.quotas.allowance import Allowance
from domain.quotas.costs import QUOTA
from domain.quotas.shapes import CONCURRENT, SLIDING
from domain.quotas.windows import WINDOW_SECONDS, WindowState
from domain.snapshots import KeySnapshot, LimitSnapshot, PlanSnapshot


class Bucket:
    """Made by `Buckets`. A request takes one permit of every enforced limit, or nothing at all; others: `WeightedBucket`.

    `weights` are permits of each limit; empty: one of each. `beyond` is what a request takes from instead when only
    quotas refuse it, if it may go on with credits: all but the quotas. `memo` belongs to who renders the limits: what stays the same for this
    bucket.
    """

    __slots__ = (
        "_caps", "_enforced", "_shadows", "account", "allowances", "beyond", "key", "limits", "memo", "plan",
        "shadow_violated", "taken_at", "weights",
    )  # fmt: skip

    weighted = False
    """Whether `uncharge` may have something to do."""

    def __init__(
        self,
        key: KeySnapshot,
        plan: PlanSnapshot,
        limits: tuple[LimitSnapshot, ...],
        account: Account,
        weights: tuple[int, ...] = (),
    ) -> None:
        self.key, self.plan, self.limits, self.weights = key, plan, limits, weights
        self.shadow_violated: tuple[str, ...] = ()
        self.taken_at = 0.0
        self.memo: Any = None
        self.beyond: Bucket | None = None
        self.attach(account)

    def attach(self, account: Account) -> None:
        """Use the allowances of `account`; again if the limiter had let go of some, because nobody used them."""
        self.account = account
        self.allowances = tuple(account.allowance(limit, self.key, self.plan) for limit in self.limits)
        weighted = tuple(zip(self.allowances, self.weights or (1,) * len(self.limits), strict=True))
        self._enforced = tuple(a for a, weight in weighted if a.enforced and weight)
        self._shadows = tuple((a, weight) for a, weight in weighted if not a.enforced and weight)
        self._caps = tuple(a for a in self.allowances if a.kind == CONCURRENT)
        if not self.weights:
            for allowance in self._enforced:
                allowance.stride = allowance.stride or 1

    @property
    def needs(self) -> tuple[tuple[Allowance, int], ...]:
        """What can refuse, and how many permits a request takes of each."""
        return tuple((allowance, 1) for allowance in self._enforced)

    @property
    def retired(self) -> bool:
        """Whether the limiter has let go of an allowance."""
        return any(allowance.retired for allowance in self.allowances)

    def goes_beyond(self, violated: tuple[str, ...]) -> bool:
        """Whether a request that these limits refuse may take from `beyond`, whose limits then decide: a quota is among them."""
        return self.beyond is not None and any(li.unit == QUOTA and li.name in violated for li in self.limits)

    def take(self) -> bool:
        """One permit of every enforced window, and a slot of every cap. False: not all of them are here now."""
        now = monotonic()
        for allowance in self._enforced:
            if allowance.left <= 0 or now >= allowance.deadline:
                return False
        for allowance in self._enforced:
            left = allowance.left = allowance.left - 1
            allowance.cells[allowance.at] = left
            allowance.spent_at = now
            if left <= allowance.low:
                allowance.lack()
        self.taken_at = now
        if self._shadows:
            self._count_shadows(now)
        return True

    def take_what_is_here(self, now: float, clock: float) -> None:
        """Admitted without Redis: spend what is leased, owe the rest. Nothing waits, nothing refuses."""
        for allowance, weight in self.needs:
            here = min(weight, max(0, allowance.left)) if now < allowance.deadline else 0
            if here:
                allowance.left -= here
                allowance.cells[allowance.at] = allowance.left
                allowance.spent_at = now
            if here < weight:
                allowance.owe(clock, weight - here)
        self.taken_at = now
        if self._shadows:
            self._count_shadows(now)

    def done(self) -> None:
        """The request is over: its slots come back. Exactly once for each request that was admitted."""
        for allowance in self._caps:
            if allowance.enforced:
                allowance.left += 1
                allowance.cells[allowance.at] = allowance.left
            else:
                allowance.count(-1)

    def give_back(self, taken_at: float | None = None) -> None:
        """As if never taken; instead of `done`. `taken_at`: monotonic seconds of (or before) the take.

        Needed where other requests may have taken since. A permit whose window has turned since stays spent: it must not
        become one of the next window.
        """
        taken = self.taken_at if taken_at is None else taken_at
        self.done()
        for allowance, weight in self.needs:
            if allowance.kind != CONCURRENT:
                put_back(allowance, weight, taken)
        for allowance, weight in self._shadows:
            if allowance.kind != CONCURRENT and taken >= allowance.since:
                allowance.count(-weight)

    def uncharge(self, taken_at: float, charged: int = 0) -> None:
        """Before `done`: a request that took at `taken_at` was charged only so many micro-credits; no window counts them here."""

    def give_back_units(self, taken_at: float) -> None:
        """Before `done`, once: as if a request that took at `taken_at` had taken nothing of quotas."""
        for allowance, weight in self.needs:
            if allowance.limit.unit == QUOTA:
                put_back(allowance, weight, taken_at)

    def states(self) -> tuple[WindowState, ...]:
        """Every limit as this worker knows it."""
        now = monotonic()
        return tuple(
            WindowState(
                limit.name,
                limit.amount,
                allowance.used_now() if limit.shadow else limit.amount - min(allowance.remaining(), limit.amount),
                allowance.remaining(),
                reset_seconds(allowance, now),
                WINDOW_SECONDS[limit.period],
                limit.shadow,
            )
            for limit, allowance in zip(self.limits, self.allowances, strict=True)
        )

    def numbers(self) -> tuple[int, ...]:
        """Remaining and seconds to the reset of each limit, in the order of `limits`."""
        now = monotonic()
        figures: list[int] = []
        add = figures.append
        for allowance in self.allowances:
            free = allowance.amount - allowance.used + allowance.left
            add(free if free > 0 else 0)  # noqa: FURB136  max() costs a call
            seconds = allowance.reset_at - now
            add(int(seconds) + 1 if seconds > 0 else allowance.seconds)
        return tuple(figures)

    def _count_shadows(self, now: float) -> None:
        violated = []
        for allowance, weight in self._shadows:
            if now >= allowance.reset_at and allowance.kind != CONCURRENT:
                allowance.turn_shadow(now)
            allowance.count(weight)
            if allowance.used_now() > allowance.amount:
                violated.append(allowance.limit.name)
        self.shadow_violated = tuple(violated)


def put_back(allowance: Allowance, permits: int, taken_at: float) -> None:
    """Unspend permits that were taken at `taken_at` (monotonic seconds), if that was in the window of now.

    In a sliding window what was told is charged where it was told.
    """
    if taken_at >= (allowance.seen_at if allowance.kind == SLIDING else allowance.since):
        allowance.put_back(permits)


def reset_seconds(allowance: Allowance, now: float) -> int:
    """Whole seconds until permits come back, rounded up, at least 1; unknown: the window's length."""
    seconds = allowance.reset_at - now
    return max(1, math.ceil(seconds)) if seconds > 0 else WINDOW_SECONDS[allowance.limit.period]
