"""A worker's wallets: leased from the ledger ahead of need, many organizations in one transaction, given back when idle.

G2: nobody spends what PostgreSQL did not lend. G5: without it what is leased is spent, then priced requests are refused
with 503, at once while it is known to be away, within a second otherwise. What a killed worker held comes back with the
end of its journal (`domain.ingesting.charges`).
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from time import monotonic
from uuid import UUID

from domain.credits.leasing import Ask, Granted, grant
from domain.credits.ledger_access import CALL_SECONDS, LedgerAccess, LedgerAway, LedgerBusy
from domain.credits.wallet import Wait, Wallet
from domain.databases import Pool

WAIT_SECONDS = 1.0
"""A request waits this long for the ledger."""
IDLE_SECONDS, PLENTY_SECONDS = 1.0, 3.0
"""What nobody spends goes back after this long; after the second where at least half of everything is free."""
_TICK_SECONDS = 0.5
_QUIET_SECONDS = 30.0
_HEARD_SECONDS = 10.0
"""A wallet in use asks this often at the least, so that what it says of the rest is not older."""
_AT_ONCE = 500
_MOST_CALLS, _MOST_ASKS = 2, 100

log = logging.getLogger(__name__)


@dataclass(slots=True)
class WalletsStatus:
    """For /ready and /metrics; counts since the start. `leased` organizations have `leased_micro` here unspent."""

    ok: bool = True
    fault: str = ""
    wallets: int = 0
    leased: int = 0
    leased_micro: int = 0
    calls: int = 0
    recalls: int = 0
    refused: int = 0
    undecided: int = 0


class Wallets:
    """One per worker. `holder_id` is the id of its journal, whose folder is there before the first call."""

    def __init__(self, pool: Pool, holder_id: UUID) -> None:
        self.access = LedgerAccess(pool, holder_id, self._found, self._shut)
        self._status = WalletsStatus()
        self._wallets: dict[UUID, Wallet] = {}
        self._line: deque[Wallet] = deque()
        self._number = self._flying = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticking: asyncio.Task[None] | None = None
        self.get = self._wallets.get
        """The wallet of an organization, or None."""

    async def start(self) -> None:
        """Begin to look after what is leased."""
        self._ticking = asyncio.create_task(self._tick(), name="credits upkeep")

    async def stop(self) -> None:
        """Give back what is unspent, within the time of two calls. What can't be told comes back with the journal's end."""
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        if self.access.ok and not self.access.closed:
            for wallet in self._wallets.values():
                self.give_up(wallet)
            due = asyncio.get_running_loop().time() + 2 * CALL_SECONDS
            while self._tasks and (seconds := due - asyncio.get_running_loop().time()) > 0:
                await asyncio.wait(tuple(self._tasks), timeout=seconds)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.access.stop()

    def status(self) -> WalletsStatus:
        """The figures now."""
        status, wallets = self._status, self._wallets.values()
        status.ok, status.fault = self.access.ok and not self.access.closed, self.access.fault
        status.wallets = len(wallets)
        status.leased = sum(wallet.left > 0 for wallet in wallets)
        status.leased_micro = sum(max(0, wallet.left) for wallet in wallets)
        return status

    # -- what a request uses

    def of(self, organization_id: UUID) -> Wallet:
        """The wallet of an organization; a new one is empty. Look again once it is `retired`."""
        wallet = self._wallets.get(organization_id)
        if wallet is None:
            wallet = self._wallets[organization_id] = Wallet(organization_id, self._renew)
            if self.access.closed:
                wallet.shut()
        return wallet

    def wait(self, wallet: Wallet, price: int) -> "asyncio.Future[None]":
        """After `take` said False: done once `price` is held. Raises OutOfCredits or CannotDecide, here or when awaited."""
        refusal = wallet.refusal(price, monotonic())
        if refusal is not None:
            self._status.refused += 1
            raise refusal
        if not self.access.ok or self.access.closed:
            self._status.undecided += 1
            raise self.access.cannot_decide()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[None] = loop.create_future()
        wallet.waiting.append(Wait(price, answer))
        timer = loop.call_later(WAIT_SECONDS, self._time_is_up, answer)
        answer.add_done_callback(lambda done: self._decided(done, timer))
        self._queue(wallet)
        return answer

    # -- what others have to say

    def recalled(self, payload: str) -> None:
        """Another worker (or a reservation) needs what is unspent of an organization's credits."""
        holder, _, organization = payload.partition(" ")
        try:
            wallet = self._wallets.get(UUID(organization))
        except ValueError:
            return
        if wallet is not None and holder != self.access.holder_id.hex:
            self._status.recalls += 1
            self.give_up(wallet)

    def give_up(self, wallet: Wallet) -> None:
        """Give back what is unspent, now, or behind the call that is under way."""
        if (wallet.left > 0 or wallet.call is not None) and not self.access.closed:
            wallet.returning = True
            self._queue(wallet)

    # -- calls

    def _renew(self, wallet: Wallet) -> None:
        # No second renewal before the answer.
        wallet.low = 0
        if wallet.call is None:
            self._queue(wallet)

    def _queue(self, wallet: Wallet) -> None:
        if wallet.queued or not self.access.ok or self.access.closed:
            return
        wallet.queued = True
        self._line.append(wallet)
        if self._flying < _MOST_CALLS:
            self._flying += 1
            task = asyncio.ensure_future(self._fly())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _fly(self) -> None:
        try:
            # What else this turn of the loop has to ask comes along.
            await asyncio.sleep(0)
            while self._line:
                aboard = self._board()
                if aboard:
                    await self._call(aboard)
        finally:
            self._flying -= 1

    def _board(self) -> dict[UUID, tuple[Wallet, Ask]]:
        aboard: dict[UUID, tuple[Wallet, Ask]] = {}
        while self._line and len(aboard) < _MOST_ASKS:
            wallet = self._line.popleft()
            wallet.queued = False
            if wallet.flying or wallet.retired:
                continue  # its landing looks again
            self._number += 1
            ask = wallet.ask(self._number)
            if ask is not None:
                wallet.flying = True
                aboard[wallet.organization_id] = wallet, ask
        return aboard

    async def _call(self, aboard: dict[UUID, tuple[Wallet, Ask]]) -> None:
        asks = [ask for _, ask in aboard.values()]
        answers: list[Granted] = []
        lost = False
        self._status.calls += 1
        try:
            answers = await self.access.run(lambda connection: grant(connection, self.access.holder_id, asks))
        except LedgerBusy:
            pass  # asked again in a moment
        except LedgerAway:
            lost = True
        finally:
            for wallet, _ in aboard.values():
                wallet.flying = False
        if lost:
            self._give_in()
            return
        for answer in answers:
            wallet, _ = aboard.pop(answer.organization_id)
            again = wallet.land(answer)
            if again is not None:
                self._queue_later(wallet, again)
        for wallet, _ in aboard.values():
            self._queue_later(wallet, wallet.busy())

    def _queue_later(self, wallet: Wallet, seconds: float) -> None:
        if seconds > 0:
            asyncio.get_running_loop().call_later(seconds, self._queue, wallet)
        else:
            self._queue(wallet)

    def _give_in(self) -> None:
        """Nobody can say now: who waits is told."""
        self._line.clear()
        for wallet in self._wallets.values():
            wallet.queued = False
            if wallet.waiting:
                wallet.fail(self.access.cannot_decide())

    def _found(self) -> None:
        for wallet in list(self._wallets.values()):
            if wallet.call is not None or wallet.returning or wallet.waiting:
                self._queue(wallet)

    def _shut(self) -> None:
        for wallet in self._wallets.values():
            wallet.shut()
        self._wallets.clear()

    # -- who waits

    def _time_is_up(self, answer: "asyncio.Future[None]") -> None:
        if not answer.done():
            answer.set_exception(self.access.cannot_decide())

    def _decided(self, answer: "asyncio.Future[None]", timer: asyncio.TimerHandle) -> None:
        timer.cancel()
        if answer.cancelled():
            return
        fault = answer.exception()
        if fault is not None:
            if getattr(fault, "status", 0) == 402:
                self._status.refused += 1
            else:
                self._status.undecided += 1

    # -- upkeep

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            try:
                await self._look_at_all()
            except Exception:  # without this task nothing would ever be given back
                log.exception("fault in the upkeep of credits")

    async def _look_at_all(self) -> None:
        for seen, wallet in enumerate(list(self._wallets.values()), 1):
            self._look(wallet, monotonic())
            if not seen % _AT_ONCE:
                await asyncio.sleep(0)  # requests go first

    def _look(self, wallet: Wallet, now: float) -> None:
        wallet.look(now)
        idle = now - wallet.moved_at
        if wallet.left > 0 and idle >= (PLENTY_SECONDS if wallet.is_plenty() else IDLE_SECONDS):
            self.give_up(wallet)
        elif idle >= _QUIET_SECONDS and wallet.is_quiet():
            wallet.retired = True
            self._wallets.pop(wallet.organization_id, None)
        elif wallet.left > 0 and wallet.call is None and now - wallet.heard_at >= _HEARD_SECONDS:
            self._queue(wallet)
