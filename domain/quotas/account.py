"""One organization in a worker: its allowances, the requests that wait for permits, and at most one call at a time.

One call at a time, because a holder's word on a window is absolute: two calls under way would contradict each other.
All requests that wait meanwhile go together in the next call.
"""

import asyncio
import math
from collections.abc import Iterable
from time import monotonic, time
from typing import TYPE_CHECKING, Any
from uuid import UUID

from domain.quotas.allowance import Allowance
from domain.redis_keys import marker_key, window_key
from domain.snapshots import KeySnapshot, LimitSnapshot, PlanSnapshot

if TYPE_CHECKING:
    from domain.quotas.bucket import Bucket
    from domain.quotas.limiter import Limiter

_MOST_BUNDLES, _MOST_WINDOWS = 64, 200
OVERTAKEN, NEEDS_REFILL = -1, 1
PER_WINDOW = 6


class Wait:
    """One request that waits for permits, or somebody who only wants to `look`.

    `recalled_at` is when a recall was first sent for it; 0 before.
    """

    __slots__ = ("answer", "begun", "bucket", "look", "recalled_at")

    def __init__(self, bucket: "Bucket", answer: "asyncio.Future[Any]", *, look: bool = False) -> None:
        self.bucket, self.answer, self.look = bucket, answer, look
        self.begun, self.recalled_at = monotonic(), 0.0


class Call:
    """One call of lease.lua: whose windows, which waits it carries, and when it was written."""

    __slots__ = ("account", "arguments", "bundles", "sent", "windows")

    def __init__(self, account: "Account", windows: list[Allowance], bundles: "dict[Bucket, list[Wait]]") -> None:
        self.account, self.windows, self.bundles = account, windows, bundles
        self.arguments: list[str | int] = []
        self.sent = 0.0


class Account:
    """`busy` while a call is under way or its refill is read, `slow` if that takes longer than a decision may;
    `queued` while it stands in the limiter's line.
    """

    __slots__ = (
        "allowances", "busy", "dirty", "known", "limiter", "marker", "organization_id", "queued", "slow", "waiting",
    )  # fmt: skip

    def __init__(self, limiter: "Limiter", organization_id: UUID) -> None:
        self.limiter, self.organization_id = limiter, organization_id
        self.marker = marker_key(organization_id)
        self.allowances: dict[str, Allowance] = {}
        self.dirty: dict[Allowance, None] = {}
        self.waiting: list[Wait] = []
        self.busy = self.queued = self.known = self.slow = False

    def allowance(self, limit: LimitSnapshot, key: KeySnapshot, plan: PlanSnapshot) -> Allowance:
        """The one allowance of a limit, for this organization or for `key`."""
        name = window_key(self.organization_id, limit.id, key.id if limit.scope == "key" else None, limit.period)
        allowance = self.allowances.get(name)
        if allowance is None:
            allowance = self.allowances[name] = self.limiter.new_allowance(self, name, limit, key, plan)
        elif allowance.limit is not limit or allowance.anchor != key.month_anchor or allowance.plan is not plan:
            allowance.use(limit, key, plan)
        return allowance

    def mark(self, allowance: Allowance, *, later: bool = False) -> None:
        """Redis is to be asked about a window: now, or (`later`) when it is back."""
        self.dirty[allowance] = None
        if not later:
            self.limiter.queue(self)

    def watch(self, allowance: Allowance) -> None:
        """Look at it again in a while."""
        self.limiter.upkeep.watch(allowance)

    def call(self) -> Call:
        """What waits, as one call; what does not fit goes with the next one."""
        windows = dict.fromkeys(list(self.dirty)[:_MOST_WINDOWS])
        for allowance in windows:
            del self.dirty[allowance]
        bundles: dict[Bucket, list[Wait]] = {}
        left_behind: list[Wait] = []
        for wait in self.waiting:
            if wait.answer.done():
                continue
            carried = bundles.get(wait.bucket)
            if carried is not None:
                carried.append(wait)
            elif len(bundles) < _MOST_BUNDLES and len(windows) < _MOST_WINDOWS:
                bundles[wait.bucket] = [wait]
                for allowance in wait.bucket.allowances:
                    windows[allowance] = None
                    self.dirty.pop(allowance, None)
                for allowance, weight in wait.bucket.needs:
                    allowance.stride = max(allowance.stride, weight)
            else:
                left_behind.append(wait)
        self.waiting = left_behind
        return Call(self, list(windows), bundles)

    def write(self, call: Call, holder: str, sequence: int) -> None:
        """Put down the words of every window, as of this moment."""
        now, clock = monotonic(), time()
        positions = {allowance: position for position, allowance in enumerate(call.windows, 1)}
        call.sent = now
        call.arguments = [
            len(call.windows) + 1,
            *(allowance.name for allowance in call.windows),
            self.marker,
            holder,
            sequence,
            1,
            *(allowance.words(now, clock, sequence) for allowance in call.windows),
            *(
                f"{sum(not wait.look for wait in waits)} {' '.join(f'{positions[a]} {w}' for a, w in bucket.needs)}"
                for bucket, waits in call.bundles.items()
            ),
        ]

    def absorb(self, call: Call, answer: list[int]) -> None:
        """Take in an answer that granted or refused."""
        now = monotonic()
        self.known = True
        for position, allowance in enumerate(call.windows):
            begin = 1 + PER_WINDOW * position
            allowance.absorb(answer[begin : begin + PER_WINDOW], call.sent, now)
            allowance.refill = self.limiter.first_refill(allowance)
            if allowance.outstanding:
                self.limiter.upkeep.watch(allowance)
            else:
                self.limiter.upkeep.calm(allowance)

    def keep_dirty(self, windows: Iterable[Allowance]) -> None:
        """A call was lost: its windows must be told again."""
        self.dirty.update(dict.fromkeys(windows))

    def forget(self, allowance: Allowance) -> None:
        """Nobody uses it and Redis has been told of everything."""
        allowance.retired, allowance.deadline, allowance.since = True, 0.0, math.inf
        del self.allowances[allowance.name]
        self.limiter.forgotten(self, allowance)
