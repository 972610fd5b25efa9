"""A worker's reservations: held in PostgreSQL before their request goes upstream, prolonged while it is under way."""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any, TypeVar
from uuid import UUID

from domain.credits.ledger_access import LedgerAccess, LedgerAway
from domain.credits.reservations import Held, Reservation, hold, let_go, prolong
from domain.credits.wallet import out_of_credits

T = TypeVar("T")
HOLD_SECONDS = 1.0
"""A request waits this long for its reservation."""
_RECALL_SECONDS, _PAUSE_SECONDS = 0.25, 0.01
_UNBOUNDED_SECONDS, _GRACE_SECONDS = 3600.0, 60.0
"""A reservation is good for as long as the service may take, or an hour, and a while for its record to be stored."""
_TICK_SECONDS, _CLOSE_SECONDS, _MORE_SECONDS = 15.0, 60.0, 600.0

log = logging.getLogger(__name__)


class Hold:
    """`amount` micro-credits of one request. `remaining` is what was available beside it."""

    __slots__ = ("amount", "deadline", "id", "organization_id", "remaining")

    def __init__(self, wanted: Reservation, remaining: int) -> None:
        self.id, self.organization_id, self.amount = wanted.id, wanted.organization_id, wanted.amount
        self.deadline, self.remaining = wanted.deadline, remaining


class Holds:
    """One per worker; what it holds ends with the records of the requests, which the ingester stores."""

    def __init__(self, access: LedgerAccess) -> None:
        self._access = access
        self._under_way: dict[UUID, Hold] = {}
        self._ticking: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Begin to prolong."""
        self._ticking = asyncio.create_task(self._tick(), name="reservations")

    async def stop(self) -> None:
        """Prolong no more; what is being undone gets a moment."""
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=HOLD_SECONDS)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def __len__(self) -> int:
        return len(self._under_way)

    async def hold(
        self, request_id: UUID, organization_id: UUID, operation_id: UUID, amount: int, total_seconds: float
    ) -> Hold:
        """Hold `amount` for a request. Raises OutOfCredits; CannotDecide where the ledger gives no answer in a second.

        If it comes about later than that, it is undone; what is left of that ends with the request's record.
        """
        seconds = (total_seconds or _UNBOUNDED_SECONDS) + _GRACE_SECONDS
        deadline = datetime.now(UTC) + timedelta(seconds=seconds)
        wanted = Reservation(request_id, organization_id, operation_id, amount, deadline)
        trying = self._spawn(self._try(wanted))
        try:
            await asyncio.wait((trying,), timeout=HOLD_SECONDS)
        except asyncio.CancelledError:
            self._spawn(self._regret(trying, wanted))
            raise
        if not trying.done():
            self._spawn(self._regret(trying, wanted))
            raise self._access.cannot_decide()
        try:
            held = trying.result()
        except LedgerAway:
            raise self._access.cannot_decide() from None
        if not held.done:
            raise out_of_credits(amount, held.available)
        made = self._under_way[request_id] = Hold(wanted, held.available + held.elsewhere)
        return made

    def ended(self, made: Hold) -> None:
        """Its request is over; its record says what it cost."""
        self._under_way.pop(made.id, None)

    def undo(self, made: Hold) -> None:
        """Its request was over before it was held, so its record may be stored already."""
        self.ended(made)
        self._spawn(self._let_go(made.id, made.organization_id))

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _regret(self, trying: asyncio.Task[Held], wanted: Reservation) -> None:
        await asyncio.wait((trying,))
        if trying.cancelled() or trying.exception() is not None or not trying.result().done:
            return
        await self._let_go(wanted.id, wanted.organization_id)

    async def _let_go(self, request_id: UUID, organization_id: UUID) -> None:
        with contextlib.suppress(LedgerAway):
            async with self._access.turn(organization_id):
                await self._access.run(partial(let_go, request_id=request_id, organization_id=organization_id))

    async def _try(self, wanted: Reservation) -> Held:
        until, pause, recall = monotonic() + _RECALL_SECONDS, _PAUSE_SECONDS, True
        while True:
            work = partial(hold, holder_id=self._access.holder_id, wanted=wanted, recall=recall)
            async with self._access.turn(wanted.organization_id):
                held = await self._access.run(work)
            if held.done or not held.elsewhere or monotonic() > until:
                return held
            recall = False
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.05)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            close = datetime.now(UTC) + timedelta(seconds=_CLOSE_SECONDS)
            due = [made for made in self._under_way.values() if made.deadline < close]
            if not due:
                continue
            later = datetime.now(UTC) + timedelta(seconds=_MORE_SECONDS)
            ids = [made.id for made in due]
            try:
                await self._access.run(partial(prolong, ids=ids, deadline=later))
            except LedgerAway as fault:
                log.warning("%d reservations can't be prolonged: %s", len(ids), fault)
                continue
            for made in due:
                made.deadline = later
