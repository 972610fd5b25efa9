"""A worker's way to take on jobs: within a moment, and either the caller is told of the job or there is none."""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from functools import partial
from time import monotonic
from typing import Any, TypeVar
from uuid import UUID

from domain.async_jobs.accepting import Kept, Wanted, accept
from domain.async_jobs.ending import withdraw
from domain.credits.ledger_access import LedgerAccess, LedgerAway
from domain.credits.reservations import Held
from domain.credits.wallet import out_of_credits
from domain.refusals import CannotDecide

T = TypeVar("T")
TAKE_SECONDS = 2.0
"""A request waits this long for its job."""
UNDO_SECONDS = 60.0
_RECALL_SECONDS, _PAUSE_SECONDS, _RETRY_SECONDS = 1.0, 0.01, 0.5

log = logging.getLogger(__name__)


class JobTaking:
    """One per worker."""

    def __init__(self, access: LedgerAccess) -> None:
        self._access = access
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
        except LedgerAway:
            self.spawn(self._undo(trying, wanted))
            raise self._cannot_decide() from None
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

    async def _try(self, wanted: Wanted, kept: Kept | None) -> Held:
        until, pause, recall = monotonic() + _RECALL_SECONDS, _PAUSE_SECONDS, True
        while True:
            held = await self._access.run(partial(accept, wanted=wanted, kept=kept, recall=recall))
            if held.done or not held.elsewhere or monotonic() > until:
                return held
            recall = False
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.05)

    async def _undo(self, trying: "asyncio.Task[Held]", wanted: Wanted) -> None:
        """Whether it came about is unknown: the caller was told that it did not, so it is ended if it did."""
        with contextlib.suppress(Exception):
            await trying
        until = monotonic() + UNDO_SECONDS
        while monotonic() < until:
            try:
                await self._access.run(partial(_withdraw, job_id=wanted.id, request_id=wanted.request_id))
            except LedgerAway:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return
        log.error("job %s was answered 503, and it is not known whether it is stored", wanted.id)


async def _withdraw(connection: Any, job_id: UUID, request_id: UUID) -> None:
    if await withdraw(connection, job_id, request_id):
        log.warning("job %s came about too late, and is withdrawn", job_id)
