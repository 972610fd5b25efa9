"""What an answer of Redis means for the requests that waited for it: admitted, refused, or asked again after a recall."""

import asyncio
import math
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from domain.quotas.account import NEEDS_REFILL, OVERTAKEN, PER_WINDOW, Account, Call, Wait
from domain.quotas.allowance import CHECKED, UNKNOWN, Allowance
from domain.quotas.bucket import Bucket
from domain.quotas.periods import seconds_left
from domain.quotas.refill import UsedSince, read_refill
from domain.quotas.shapes import CONCURRENT
from domain.quotas.windows import Verdict

if TYPE_CHECKING:
    from domain.quotas.limiter import Limiter, LimiterStatus

_RECALL_SECONDS = 0.03
"""How long a request waits for what others hold."""
_PAUSE_SECONDS = 0.003
_DECLARING_SECONDS = 0.01
"""After a loss of memory the other workers get this long to tell what they hold, before anything is granted."""


def _retry_seconds(allowance: Allowance, now: float) -> int:
    if allowance.kind == CONCURRENT:
        return 1
    if not allowance.reset_at:
        return seconds_left(allowance.limit.period, allowance.anchor, time())
    return max(1, math.ceil(allowance.reset_at - now))


class Serving:
    """Lands the calls of one limiter."""

    def __init__(self, limiter: "Limiter", status: "LimiterStatus", used: UsedSince | None) -> None:
        self._limiter, self._status, self._used = limiter, status, used

    async def look(self, bucket: Bucket) -> None:
        """Bring a bucket up to date without taking anything. Without Redis it stays as it is."""
        seen: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        bucket.account.waiting.append(Wait(bucket, seen, look=True))
        self._limiter.queue(bucket.account)
        await seen

    def land(self, call: Call, answer: Any) -> None:
        """Take in an answer, or the exception that stands for it. Never raises."""
        self._status.calls += 1
        if isinstance(answer, BaseException):
            self._lose(call, answer)
        elif answer[0] == NEEDS_REFILL:
            call.account.busy = True
            self._limiter.spawn(self._refill(call, answer[1:]))
            return
        elif answer[0] == OVERTAKEN:
            self._lose(call, RuntimeError("a call to Redis was overtaken"))
        else:
            call.account.absorb(call, answer)
            self._serve(call, answer[1 + PER_WINDOW * len(call.windows) :])
        account = call.account
        if account.dirty or account.waiting:
            self._limiter.queue(account)

    def admission(self, bucket: Bucket) -> Verdict:
        """The verdict on a request that has just taken its permits."""
        return self.counted(
            Verdict(
                allowed=True,
                windows=bucket.states(),
                violated=(),
                retry_after_seconds=0,
                source="redis",
                shadow_violated=bucket.shadow_violated,
                taken_at=bucket.taken_at,
            )
        )

    def refusal(self, bucket: Bucket) -> Verdict:
        """The verdict on a request for which nothing is left."""
        now = monotonic()
        needs = bucket.needs
        violated = [a for a, weight in needs if a.lacks(weight) or a.shuts_out(weight, now)] or [needs[0][0]]
        names = tuple(a.limit.name for a in violated)
        verdict = Verdict(
            allowed=False,
            windows=bucket.states(),
            violated=names,
            retry_after_seconds=max(_retry_seconds(a, now) for a in violated),
            source="redis",
            shadow_violated=(),
        )
        return verdict if bucket.goes_beyond(names) else self.counted(verdict)

    def counted(self, verdict: Verdict) -> Verdict:
        """The same verdict, in the status."""
        if not verdict.allowed:
            self._status.refused += 1
        if verdict.shadow_violated:
            self._status.shadow_refused += 1
        return verdict

    def _serve(self, call: Call, goes: list[int]) -> None:
        now = monotonic()
        later: list[Wait] = []
        for (bucket, waits), count in zip(call.bundles.items(), goes, strict=True):
            served = 0
            for wait in waits:
                if wait.answer.done():
                    continue
                if wait.look:
                    wait.answer.set_result(None)
                elif bucket.take():
                    served += 1
                    self._status.decisions_redis += 1
                    wait.answer.set_result(self.admission(bucket))
                elif served < count and now - wait.begun < _RECALL_SECONDS:
                    # Granted, and over before the answer came: at a slot's edge, or taken by a request that came later.
                    served += 1
                    call.account.waiting.append(wait)
                elif self._worth_recalling(bucket, wait, now):
                    later.append(wait)
                else:
                    self._refuse(bucket, wait, now)
        if later:
            self._status.recalls += 1
            asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._again, call.account, later)

    def _again(self, account: Account, waits: list[Wait]) -> None:
        if not self._status.redis_ok:
            self._give_local(waits)
            return
        account.waiting += waits
        self._limiter.queue(account)

    def _worth_recalling(self, bucket: Bucket, wait: Wait, now: float) -> bool:
        """Whether every limit that refuses is one of which others hold permits, and there is time."""
        if not all(a.recallable(weight) for a, weight in bucket.needs if a.lacks(weight)):
            return False
        if not wait.recalled_at:
            wait.recalled_at = now
        return now - wait.recalled_at < _RECALL_SECONDS

    def _refuse(self, bucket: Bucket, wait: Wait, now: float) -> None:
        for allowance, weight in bucket.needs:
            if allowance.lacks(weight) and not allowance.shuts_out(weight, now):
                allowance.shut(now, weight)
        self._status.decisions_redis += 1
        wait.answer.set_result(self.refusal(bucket))

    def _lose(self, call: Call, fault: BaseException) -> None:
        if self._status.redis_ok:
            self._limiter.fail(fault)
        account = call.account
        account.keep_dirty(call.windows)
        # Who came while the call was under way would wait until Redis is back: nothing flies before.
        later, account.waiting = account.waiting, []
        self._give_local([*(wait for waits in call.bundles.values() for wait in waits), *later])

    def _give_local(self, waits: list[Wait]) -> None:
        for wait in waits:
            if wait.answer.done():
                continue
            if wait.look:
                wait.answer.set_result(None)
            else:
                wait.answer.set_result(self._limiter.decide_locally(wait.bucket))

    async def _refill(self, call: Call, places: list[int]) -> None:
        """Read the rollups, then let the call go again. Who waited longer than a decision may take is decided locally.

        Where they were only to be checked, the call does not wait for them longer than that: they are told when they are here.
        """
        account, used = call.account, self._used
        windows = [call.windows[place - 1] for place in places[::2]]
        waits = [wait for waits in call.bundles.values() for wait in waits]
        assert used is not None
        self._status.refills += 1
        reading = asyncio.gather(
            *(read_refill(window, start, used) for window, start in zip(windows, places[1::2], strict=True)),
            return_exceptions=True,
        )
        try:
            only_checked = all(window.refill == CHECKED for window in windows)
            if account.known and not only_checked:
                await asyncio.sleep(_DECLARING_SECONDS)
            await asyncio.wait((reading,), timeout=_RECALL_SECONDS)
            if not reading.done() and only_checked:
                for window in windows:
                    window.refill = UNKNOWN
                self._limiter.spawn(self._tell_later(account, windows, reading))
                return
            if not reading.done():
                account.slow = True
                self._give_local([*waits, *account.waiting])
            for window, figure in zip(windows, await reading, strict=True):
                self._status.refills_unread += not isinstance(figure, int)
                window.refilled(figure if isinstance(figure, int) else 0)
        finally:
            account.busy = account.slow = False
            account.keep_dirty(call.windows)
            account.waiting += [wait for wait in waits if not wait.answer.done()]
            self._limiter.queue(account)

    async def _tell_later(
        self, account: Account, windows: list[Allowance], reading: "asyncio.Future[list[int | BaseException | None]]"
    ) -> None:
        figures = await reading
        while account.busy:  # noqa: ASYNC110  its answer would forget them
            await asyncio.sleep(_PAUSE_SECONDS)
        for window, figure in zip(windows, figures, strict=True):
            self._status.refills_unread += not isinstance(figure, int)
            if isinstance(figure, int) and not window.retired:
                window.refill = CHECKED
                window.refilled(figure)
                account.mark(window)
