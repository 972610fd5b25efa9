"""The limit that holds while Redis is away: bounded, never unlimited, and this worker's alone.

Every window gets the plan's amount divided by the number of workers, rounded up to a whole request: where one takes more
than that share, one is admitted. So all workers of one node admit at most the amount, and of every worker but one a
request, on top of what Redis had counted before it went away.
Windows begin at their first request and end by the clock of this machine (that of the `limits` library): a clock that
steps while Redis is away moves their end by the step. Counts survive a return of Redis until their window ends, so
that a Redis that comes and goes does not hand out a fresh share each time.
"""

import time
from collections.abc import Sequence

from limits.storage import MemoryStorage

from domain.quotas.allowance import Allowance
from domain.quotas.bucket import Bucket, reset_seconds
from domain.quotas.shapes import CONCURRENT
from domain.quotas.windows import WINDOW_SECONDS, Verdict, judge
from domain.redis_keys import window_key
from domain.snapshots import KeySnapshot, LimitSnapshot

_SWEEP_AT = 10_000


class Counters(MemoryStorage):
    """The library's counters without its expiry thread, which would walk all of them every 10 ms under load.

    For one event loop: no locks. Ended windows leave when their number has doubled since the last time.
    """

    def __init__(self) -> None:
        super().__init__()
        # The library has begun its thread: in a busy worker it would take keys away under `_sweep`.
        self.timer.cancel()
        self._sweep_at = _SWEEP_AT

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add to a counter, whose window of `expiry` seconds begins with the first of them."""
        used = self.get(key) + amount
        self.storage[key] = used
        if used == amount:
            self.expirations[key] = time.time() + expiry
            if len(self.expirations) >= self._sweep_at:
                self._sweep()
        return used

    def _sweep(self) -> None:
        now = time.time()
        for key in [key for key, end in self.expirations.items() if end <= now]:
            self.clear(key)
        self._sweep_at = max(_SWEEP_AT, 2 * len(self.expirations))


class LocalLimiter:
    """Decides at once, without awaiting; all windows or none."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._counters = Counters()

    def take(self, key: KeySnapshot, limits: Sequence[LimitSnapshot], costs: Sequence[int]) -> Verdict:
        """Take `costs`, permits of this worker's share of each limit; 0 only looks."""
        names = [_counter(key, limit) for limit in limits]
        used = [self._counters.get(name) for name in names]
        shares = [self._share(limit, *pair) for limit, *pair in zip(limits, used, costs, strict=True)]
        taken = all(
            limit.shadow or count + cost <= share
            for limit, count, share, cost in zip(limits, used, shares, costs, strict=True)
        )
        if taken:
            used = [
                self._counters.incr(name, WINDOW_SECONDS[limit.period], cost) if cost else count
                for name, limit, count, cost in zip(names, limits, used, costs, strict=True)
            ]
        return self._verdict(limits, names, shares, used, costs, taken=taken)

    def _share(self, limit: LimitSnapshot, used: int, cost: int) -> int:
        share = -(-limit.amount // self._workers)
        return cost if not used and share < cost <= limit.amount else share

    def decide(self, bucket: Bucket, now: float, clock: float) -> Verdict:
        """One request while Redis is away: it spends what is leased; of the other windows, this worker's share."""
        lacking = [(a, weight) for a, weight in bucket.needs if a.left < weight or now >= a.deadline]
        windows = [a.limit for a, _ in lacking if a.kind != CONCURRENT]
        refusing = [a for a, weight in lacking if self._spent(a, weight, now)]
        costs = [
            0 if refusing else weight - (max(0, a.left) if now < a.deadline else 0)
            for a, weight in lacking
            if a.kind != CONCURRENT
        ]
        verdict = self.take(bucket.key, windows, costs)
        local = {limit.id: state for limit, state in zip(windows, verdict.windows, strict=True)}
        allowed = verdict.allowed and not refusing
        if allowed:
            bucket.take_what_is_here(now, clock)
        states = tuple(local.get(limit.id, state) for limit, state in zip(bucket.limits, bucket.states(), strict=True))
        if allowed:
            return Verdict(
                allowed=True,
                windows=states,
                violated=(),
                retry_after_seconds=0,
                source="local",
                shadow_violated=bucket.shadow_violated,
                taken_at=bucket.taken_at,
            )
        names = (*(a.limit.name for a in refusing), *verdict.violated)
        seconds = max(verdict.retry_after_seconds, *(reset_seconds(a, now) for a in refusing), 1)
        return Verdict(
            allowed=False,
            windows=states,
            violated=names,
            retry_after_seconds=seconds,
            source="local",
            shadow_violated=(),
        )

    def _spent(self, allowance: Allowance, weight: int, now: float) -> bool:
        """Whether nothing is left by what is known: of a window by Redis's last word, of a cap by this worker's share."""
        if allowance.kind == CONCURRENT:
            return allowance.kept - allowance.left >= -(-allowance.amount // self._workers)
        return now < allowance.reset_at and allowance.used_now() + weight > allowance.amount

    def _verdict(
        self,
        limits: Sequence[LimitSnapshot],
        names: list[str],
        shares: list[int],
        used: list[int],
        costs: Sequence[int],
        *,
        taken: bool,
    ) -> Verdict:
        now = time.time()
        resets = [
            max(1, int((self._counters.get_expiry(name) - now) * 1000))
            if count
            else WINDOW_SECONDS[limit.period] * 1000
            for name, count, limit in zip(names, used, limits, strict=True)
        ]
        return judge(limits, used, resets, costs, taken=taken, source="local", amounts=shares)


def _counter(key: KeySnapshot, limit: LimitSnapshot) -> str:
    return window_key(key.organization_id, limit.id, key.id if limit.scope == "key" else None, limit.period)
