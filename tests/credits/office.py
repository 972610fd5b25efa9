"""Eight clerks on the same few organizations: rounds that all begin at once, one of them killed in the middle."""

import asyncio
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from tests.credits import clerk

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.credits.clerk"])
ANSWER_SECONDS = 60.0


@dataclass
class Desk:
    """One clerk's place; its process may be another one after a kill."""

    holder: UUID
    process: Any = None
    orders: Any = None


@dataclass
class Office:
    """The clerks, and what they did. `counts` lacks what a killed clerk did in its last round."""

    database_url: str
    owners: list[UUID]
    folder: str
    seed: str
    desks: list[Desk] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    rounds: int = 0
    seconds: float = 0.0

    def seat(self, desk: Desk) -> None:
        """Start the desk's clerk; it answers when it has recovered."""
        desk.orders, theirs = CONTEXT.Pipe()
        arguments = (self.database_url, desk.holder, self.owners, self.folder, f"{self.seed} {self.kills}", theirs)
        desk.process = CONTEXT.Process(target=clerk.run, args=arguments, daemon=True)
        desk.process.start()
        theirs.close()

    async def answer(self, desk: Desk) -> None:
        """Wait for the clerk's word."""
        assert await asyncio.to_thread(desk.orders.poll, ANSWER_SECONDS), "a clerk does not answer"
        self.counts.update(desk.orders.recv())

    async def open(self, connection: Any, number: int) -> None:
        """So many clerks, ready to work; `connection` is the one that opens the gate."""
        await connection.execute(clerk.TABLE)
        self.desks = [Desk(uuid4()) for _ in range(number)]
        await connection.executemany("insert into credit_holder (id) values ($1)", [[d.holder] for d in self.desks])
        for desk in self.desks:
            self.seat(desk)
        await asyncio.gather(*map(self.answer, self.desks))

    async def round(self, connection: Any, steps: int, victim: Desk | None, delay: float) -> None:
        """All begin at once; the victim is killed `delay` seconds later, and another takes its place."""
        await connection.execute(f"select pg_advisory_lock({clerk.GATE})")
        for desk in self.desks:
            desk.orders.send(steps)
        waiting = (
            "select count(*) from pg_locks join pg_database d on d.oid = database"
            " where datname = current_database() and locktype = 'advisory' and objid = $1 and not granted"
        )
        end = time.monotonic() + ANSWER_SECONDS
        while await connection.fetchval(waiting, clerk.GATE) < len(self.desks):
            assert time.monotonic() < end, "a clerk does not come to the gate"
        began = time.monotonic()
        await connection.execute(f"select pg_advisory_unlock({clerk.GATE})")
        if victim is not None:
            await asyncio.sleep(delay)
            victim.process.kill()
            await asyncio.to_thread(victim.process.join)
            self.kills += 1
            victim.orders.close()
            self.seat(victim)
        await asyncio.gather(*map(self.answer, self.desks))
        self.seconds += time.monotonic() - began
        self.rounds += 1

    def close(self) -> None:
        """Send all home."""
        for desk in self.desks:
            if desk.process.is_alive():
                desk.orders.send(0)
        for desk in self.desks:
            desk.process.join(10.0)
            if desk.process.is_alive():
                desk.process.kill()
                desk.process.join()
            desk.orders.close()
            desk.process.close()


@contextmanager
def office(database_url: str, owners: list[UUID], folder: str, seed: str) -> Iterator[Office]:
    """An office without clerks yet; all of them are gone afterwards."""
    made = Office(database_url, owners, folder, seed)
    try:
        yield made
    finally:
        made.close()


def delays(seed: str) -> Iterator[float]:
    """When in a round somebody is killed: seconds, early ones more often."""
    choice = random.Random(seed)
    while True:
        yield choice.random() ** 2 * 0.4
