"""A worker's way to take on jobs: within a moment, and either the caller is told of the job or there is none."""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from domain.async_jobs.accepting import Kept, Wanted, accept
from domain.async_jobs.ending import withdraw
from domain.credits.ledger_access import LedgerAccess, LedgerAway, LedgerBusy
from domain.credits.reservations import Held
from domain.credits.wallet import out_of_credits
from domain.refusals import CannotDecide

T = TypeVar("T")
TAKE_SECONDS = 2.0
"""A request waits this long for its job."""
UNDO_SECONDS = 60.0
_PARTS = 4
_RECALL_SECONDS, _PAUSE_SECONDS, _RETRY_SECONDS = 1.0, 0.01, 0.5

log = logging.getLogger(__name__)


class JobTaking:
    """One per worker, which has so many `connections`.

    At most a quarter of them takes on jobs, one looks at jobs, one hears of them (`taking`, `looking`, `hearing`): however
    many ask at once, keys and credits of others are looked up beside them. Of these places one organization has no more than
    its turns (`turn`), so who waits for his own account keeps nobody else's jobs waiting.
    """

    def __init__(self, access: LedgerAccess, connections: int) -> None:
        self._access = access
        self.turn = access.turn
        places = max(1, connections // _PARTS)
        self.looking, self.hearing, self._taking = (asyncio.Semaphore(places) for _ in range(3))
        self._tasks: set[asyncio.Task[Any]] = set()

    async def stop(self) -> None:
        """What is under way, or being undone, gets a moment."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=TAKE_SECONDS)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Something that goes on though its caller has left, until `stop`."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def take(self, wanted: Wanted, kept: Kept | None) -> Held:
        """Hold the price and store the job. Raises OutOfCredits, TooManyJobs; CannotDecide where there is no answer in
        time. What comes about later than that is withdrawn, unless it has been sent upstream by then.
        """
        if not self._access.ok or self._access.closed:
            raise self._cannot_decide()
        trying = self.spawn(self._try(wanted, kept))
        await asyncio.wait((trying,), timeout=TAKE_SECONDS)
        if not trying.done():
            self.spawn(self._undo(trying, wanted))
            raise self._cannot_decide()
        try:
            held = trying.result()
        except LedgerBusy:
            raise self._cannot_decide() from None
        except LedgerAway:
            self.spawn(self._undo(trying, wanted))
            raise self._cannot_decide() from None
        if held is None:
            raise self._cannot_decide()
        if not held.done:
            raise out_of_credits(wanted.price_micro, held.available)
        return held

    def cannot_store(self, internal: str) -> CannotDecide:
        """For a gateway that is not set up for jobs."""
        return CannotDecide("The gateway cannot take on jobs at the moment. You were not charged.", internal=internal)

    def _cannot_decide(self) -> CannotDecide:
        return CannotDecide(
            "The gateway cannot take on this job at the moment. You were not charged.",
            internal=self._access.fault or "no answer about a job in time",
            retry_after_seconds=1,
        )

    async def _try(self, wanted: Wanted, kept: Kept | None) -> Held | None:
        """None: it had no turn in time, and nothing was begun."""
        given_up, until, pause = monotonic() + TAKE_SECONDS, 0.0, _PAUSE_SECONDS
        held: Held | None = None
        while True:
            async with self.turn(wanted.organization_id), self._taking:
                if monotonic() > given_up:
                    return held
                until = until or monotonic() + _RECALL_SECONDS
                held = await self._access.run(partial(accept, wanted=wanted, kept=kept, recall=held is None))
            if held.done or not held.elsewhere or monotonic() > until:
                return held
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.05)

    async def _undo(self, trying: "asyncio.Task[Held | None]", wanted: Wanted) -> None:
        """Whether it came about is unknown: the caller was told that it did not, so it is ended if it did."""
        with contextlib.suppress(Exception):
            try:
                held = await trying
            except LedgerBusy:
                return
            if held is None or not held.done:
                return
        until = monotonic() + UNDO_SECONDS
        while monotonic() < until:
            try:
                async with self.turn(wanted.organization_id):
                    await self._access.run(partial(_withdraw, wanted=wanted))
            except LedgerAway:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return
        log.error("job %s was answered 503, and it is not known whether it is stored", wanted.id)


async def _withdraw(connection: Any, wanted: Wanted) -> None:
    if await withdraw(connection, wanted.organization_id, wanted.id, wanted.request_id):
        log.warning("job %s came about too late, and is withdrawn", wanted.id)
