"""A gateway worker as far as credits see it: wallets, an ear for recalls, a journal that somebody else stores."""

import asyncio
from typing import Self
from uuid import UUID, uuid4

import asyncpg

from domain.credits.holds import Holds
from domain.credits.leasing import CHANNEL
from domain.credits.wallets import Wallets
from domain.ingesting.batches import Batch, Place
from domain.ingesting.positions import CLOSED, Move, Position, read_positions
from domain.ingesting.storing import store
from domain.refusals import CannotDecide, OutOfCredits
from tests.journals import dimensions, record

NODE = uuid4()


class Worker:
    """`served` are the micro-credits of requests that were let through, by organization. Use as a context."""

    def __init__(self, pool: "asyncpg.Pool", dsn: str) -> None:
        self.holder = uuid4()
        self.wallets = Wallets(pool, self.holder)
        self.holds = Holds(self.wallets.access)
        self._dsn, self._ear = dsn, None
        self.journal: list[bytes] = []
        self.stored, self.number = Position(0, 0), 0
        self.served: dict[UUID, int] = {}

    async def __aenter__(self) -> Self:
        self._ear = await asyncpg.connect(self._dsn)
        await self._ear.add_listener(CHANNEL, lambda *words: self.wallets.recalled(words[-1]))
        await self.wallets.start()
        await self.holds.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.holds.stop()
        await self.wallets.stop()
        await self.deaf()

    async def deaf(self) -> None:
        """Hear of no recall any more."""
        if self._ear is not None:
            ear, self._ear = self._ear, None
            ear.terminate()

    async def die(self) -> None:
        """What SIGKILL does: nothing is given back, the journal stays."""
        for tasks in (self.wallets._tasks, self.holds._tasks):
            for task in tuple(tasks):
                task.cancel()
        for ticking in (self.wallets._ticking, self.holds._ticking):
            ticking.cancel()
        await asyncio.gather(*self.wallets._tasks, *self.holds._tasks, return_exceptions=True)
        self.wallets.access.closed = True
        await self.deaf()

    async def spend(self, owner: UUID, price: int, cost: int | None = None) -> bool:
        """One request: whether it was let through. It costs its price unless said otherwise."""
        wallet = self.wallets.of(owner)
        if not wallet.take(price):
            try:
                await self.wallets.wait(wallet, price)
            except OutOfCredits:
                return False
        cost = price if cost is None else cost
        wallet.settle(price, cost)
        self.note(uuid4(), owner, cost)
        return True

    def note(self, request_id: UUID, owner: UUID, cost: int) -> None:
        """Write a request down."""
        self.journal.append(record(id_=request_id.bytes, dimensions=dimensions(owner), cost_micro=cost))
        self.served[owner] = self.served.get(owner, 0) + cost

    async def store(self, connection, *, over: bool = False) -> None:
        """What the ingester does with the journal; `over`: its worker is gone and all is read."""
        records, self.journal = self.journal, []
        self.number += 1
        reached = CLOSED if over else Position(1, self.number)
        await read_positions(connection, [self.holder])
        places = [Place(self.holder, self.number, at) for at in range(len(records))]
        batch = Batch(records, places, [Move(self.holder, self.stored, reached)])
        await store(connection, batch, NODE)
        self.stored = reached


__all__ = ["CannotDecide", "Worker"]
