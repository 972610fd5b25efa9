"""A worker's way to the ledger: transactions that end in time, and the knowledge whether PostgreSQL is away.

Who asks while it is known to be away has his answer at once; a probe in the background finds out when it is back. An
organization whose account somebody else has locked says nothing of PostgreSQL: it waits in its own turns and is told that
it is busy, and others do not notice (decision 61).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from domain.catalog.lending import READ_FAULTS, lent
from domain.credits.leasing import HolderClosed
from domain.databases import Pool
from domain.faults import in_one_line
from domain.refusals import CannotDecide
from domain.turns import Turns

T = TypeVar("T")
CALL_SECONDS = 1.5
"""Longer than a request waits: an answer that comes late is still worth having."""
LOCK_SECONDS = 1.0
"""A call waits this long for what somebody else has locked, and for the turn of its organization: a request waits no longer."""
_PART_OF_ONE = 8
"""At most this part of the connections waits for one organization's account."""
_PROBE_SECONDS = 0.5
_ROLLED_BACK = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_TRIES = 3

log = logging.getLogger(__name__)


class LedgerAway(Exception):  # noqa: N818  says what is so
    """The call was not made, or it is unknown whether it was."""


class LedgerBusy(LedgerAway):
    """Nothing has happened: somebody else has locked what the call needs, or no connection was free. PostgreSQL is there."""


class LedgerAccess:
    """One per worker. `found` is called when PostgreSQL is back. `closed`: this holder gets nothing any more."""

    def __init__(self, pool: Pool, holder_id: UUID, found: Callable[[], None], shut: Callable[[], None]) -> None:
        self._pool, self.holder_id = pool, holder_id
        self._found, self._shut = found, shut
        self.ok, self.closed, self.fault = True, False, ""
        self._probing: asyncio.Task[None] | None = None
        self._turns = Turns(max(1, pool.get_max_size() // _PART_OF_ONE))

    @asynccontextmanager
    async def turn(self, organization_id: UUID) -> AsyncIterator[None]:
        """For calls that wait for the organization's account: one by one, or a few at once. Raises LedgerBusy."""
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._turns.of(organization_id, LOCK_SECONDS))
            except TimeoutError:
                raise LedgerBusy("the account of the organization is locked") from None
            yield

    async def run(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """`work(connection)`, within CALL_SECONDS for the connection and as many for the work. Raises LedgerAway, LedgerBusy."""
        if not self.ok or self.closed:
            raise LedgerAway(self.fault)
        for turn in range(_TRIES):
            given = False
            try:
                async with lent(self._pool, CALL_SECONDS) as connection:
                    given = True
                    return await work(connection)
            except asyncpg.LockNotAvailableError as fault:
                raise LedgerBusy(in_one_line(fault)) from fault
            except HolderClosed as fault:
                self._close(fault)
                raise LedgerAway(self.fault) from fault
            except _ROLLED_BACK as fault:
                # Nothing of it happened; the same once more.
                if turn == _TRIES - 1:
                    self._lose(fault)
                    raise LedgerAway(self.fault) from fault
            except READ_FAULTS as fault:
                if not given and self._all_in_use():
                    raise LedgerBusy("all connections are in use") from fault
                self._lose(fault)
                raise LedgerAway(self.fault) from fault
        raise AssertionError("unreachable")

    def cannot_decide(self) -> CannotDecide:
        """What a request gets that has to ask now."""
        return CannotDecide(
            "The gateway cannot check the credits of this organization at the moment. You were not charged.",
            internal=self.fault or "the ledger gave no answer in time",
            retry_after_seconds=1,
        )

    async def stop(self) -> None:
        """End the probe."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)

    def _all_in_use(self) -> bool:
        """Whoever has them finds out whether PostgreSQL is away."""
        return self._pool.get_size() == self._pool.get_max_size() and not self._pool.get_idle_size()

    def _lose(self, fault: BaseException) -> None:
        self.fault = in_one_line(fault)
        if self.ok:
            self.ok = False
            log.error("the ledger is away, priced requests are served from what is leased: %s", self.fault)
            self._probing = asyncio.get_running_loop().create_task(self._probe(), name="ledger probe")

    def _close(self, fault: BaseException) -> None:
        self.fault = in_one_line(fault)
        if not self.closed:
            self.closed = True
            log.error("this worker's credits were given back by somebody else, restart it: %s", self.fault)
            self._shut()

    async def _probe(self) -> None:
        while not self.ok:
            await asyncio.sleep(_PROBE_SECONDS)
            try:
                async with lent(self._pool, CALL_SECONDS) as connection:
                    # A server in recovery, or a replica that took the name, can't lend.
                    self.ok = not await connection.fetchval("select pg_is_in_recovery()")
            except READ_FAULTS as fault:
                self.fault = in_one_line(fault)
        self.fault = ""
        log.warning("the ledger is back")
        self._found()
