"""A worker's way to what is kept under idempotency keys: claims within a second, outcomes tried again until they are there."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from domain.credits.ledger_access import LedgerAccess, LedgerAway
from domain.refusals import CannotDecide
from domain.replays import Claim, Earlier, Outcome, claim, finish, forget
from domain.settings import GatewaySettings

if TYPE_CHECKING:
    from gateway.keeping import Keeping

T = TypeVar("T")
WAIT_SECONDS = 1.0
"""A request waits this long for its claim, and an answer for its outcome."""
STOP_SECONDS = 2.0
_RETRY_SECONDS = 0.5
_AGAIN_SECONDS = 5.0
"""A claim that was given up is withdrawn once more after this: PostgreSQL may have made it late."""

log = logging.getLogger("paid_endpoint.gateway")


class Outcomes:
    """One per worker. What is not in the database when it ends is decided with the end of its journal."""

    def __init__(self, access: LedgerAccess, settings: GatewaySettings) -> None:
        self._access, self._hours = access, settings.replay_hours
        self._alone: set[Keeping] = set()
        self._ending: asyncio.Event | None = None
        self._writing: set[asyncio.Task[Any]] = set()
        self._doubtful: set[UUID] = set()
        self._withdrawing: asyncio.Task[None] | None = None

    async def claim(self, wanted: Claim) -> Earlier | None:
        """None: this request is the first. Raises CannotDecide where there is no answer in time; then it claims nothing."""
        if not self._access.ok or self._access.closed:
            raise self._cannot_decide()
        trying = self._spawn(self._access.run(partial(self._claim, wanted)))
        try:
            await asyncio.wait((trying,), timeout=WAIT_SECONDS)
        except asyncio.CancelledError:
            self.withdraw(wanted.id)
            raise
        if not trying.done():
            self.withdraw(wanted.id)
            raise self._cannot_decide()
        try:
            return trying.result()
        except LedgerAway:
            self.withdraw(wanted.id)
            raise self._cannot_decide() from None

    def withdraw(self, request_id: UUID) -> None:
        """Nothing runs under this claim, whether it has come about or will in a moment."""
        self._doubtful.add(request_id)
        if self._withdrawing is None:
            self._withdrawing = asyncio.get_running_loop().create_task(self._withdraw(), name="claims withdrawn")

    def settle(self, request_id: UUID, outcome: Outcome | None, then: Callable[[], None] | None = None) -> None:
        """Keep what came of a request, or with None give its key back. `then` is called once that is so, or after WAIT_SECONDS."""
        writing = self._spawn(self._write(request_id, outcome))
        if then is not None:
            go = _Once(then)
            timer = asyncio.get_running_loop().call_later(WAIT_SECONDS, go)
            writing.add_done_callback(lambda _: timer.cancel())
            writing.add_done_callback(lambda _: go())

    def alone(self, keeping: "Keeping") -> None:
        """An exchange that goes on without its client."""
        self._alone.add(keeping)

    def over(self, keeping: "Keeping") -> None:
        """It is over; harmless for others."""
        self._alone.discard(keeping)
        if self._ending is not None and not self._alone:
            self._ending.set()

    async def end_alone(self) -> None:
        """Give what goes on without its client a moment, then cut it."""
        self._ending = asyncio.Event()
        if self._alone:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await self._ending.wait()
        for keeping in tuple(self._alone):
            keeping.give_up(cut=True)

    async def stop(self) -> None:
        """Give what is being written a moment."""
        tasks = [*self._writing, *([self._withdrawing] if self._withdrawing is not None else [])]
        if self._writing:
            await asyncio.wait(tuple(self._writing), timeout=STOP_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._writing.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            task.exception()

    def _cannot_decide(self) -> CannotDecide:
        return CannotDecide(
            "The gateway cannot look up this Idempotency-Key at the moment. The request was not run.",
            internal=self._access.fault or "no answer about an idempotency key in time",
            retry_after_seconds=1,
        )

    async def _claim(self, wanted: Claim, connection: Any) -> Earlier | None:
        return await claim(connection, self._access.holder_id, wanted, self._hours)

    async def _write(self, request_id: UUID, outcome: Outcome | None) -> None:
        while not self._access.closed:
            try:
                if outcome is None:
                    await self._access.run(partial(forget, request_ids=[request_id]))
                else:
                    await self._access.run(partial(finish, request_id=request_id, outcome=outcome, hours=self._hours))
            except LedgerAway:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _withdraw(self) -> None:
        late: set[UUID] = set()
        while (self._doubtful or late) and not self._access.closed:
            now, self._doubtful = self._doubtful, set()
            try:
                await self._access.run(partial(forget, request_ids=now | late))
            except LedgerAway:
                self._doubtful |= now
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                late = now
                if late:
                    await asyncio.sleep(_AGAIN_SECONDS)
        self._withdrawing = None


class _Once:
    """Calls what it is given the first time."""

    def __init__(self, then: Callable[[], None]) -> None:
        self._then: Callable[[], None] | None = then

    def __call__(self) -> None:
        then, self._then = self._then, None
        if then is None:
            return
        try:
            then()
        except Exception:
            log.exception("an answer could not be ended")
