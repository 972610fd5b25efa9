"""`python -m tests.drills.exact`: a limit admits exactly what it says, on 4 workers behind 2 ports, killed or not.

64 connections ask with keys of one organization at random. 1000/hour: in ten windows in a row exactly 1000 requests are
admitted, never 1001, and 1000 are reached. 5/second: no more than 5 in any second, for a minute. Both again with a worker
killed every 2 s: answers that a killed worker took with it are counted apart, because nobody can know what became of
them; they and the answers make the limit.
"""

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import asyncpg

from domain import keys, organizations
from domain.settings import KeySettings
from loadtests.installation import Gateway, Installation, installation
from loadtests.processes import free_port, worker_pids
from loadtests.raw_client import Address, BrokenAnswerError, Connection
from loadtests.upstream import start_upstream
from tests.drills.outcome import Outcome, arguments, tell

PORTS, WORKERS, CONNECTIONS, KEYS = 2, 2, 64, 4
HOURLY, SECONDLY = 1000, 5
KILL_SECONDS, KILLED_RUN_SECONDS = 2.0, 12.0
QUIET_SECONDS = 3.0
"""So long nobody is admitted before a window counts as used up: longer than permits stay unused on a worker."""
EDGE_SECONDS = 60.0


@dataclass(slots=True)
class Seen:
    """What the callers saw. `admitted` has (sent, answered) of every 200, monotonic."""

    admitted: list[tuple[float, float]] = field(default_factory=list)
    refused: int = 0
    lost: int = 0
    others: dict[int, int] = field(default_factory=dict)
    last_good: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Place:
    """Two gateways of one node: supervisors of their own, one state folder, one Postgres, one Redis."""

    made: Installation
    gateways: tuple[Gateway, ...]
    prefix: str
    mark: str

    @property
    def workers(self) -> list[int]:
        """Process ids of all workers that live."""
        return [pid for gateway in self.gateways for pid in worker_pids(gateway.process.pid)]

    async def customer(self, plan: str) -> list[str]:
        """A new organization on a plan: its keys."""
        settings = KeySettings(peppers=self.made.settings["KEY_PEPPERS"])  # type: ignore[arg-type]
        database = await asyncpg.connect(self.made.databases.database_url)
        try:
            organization = await organizations.create(database, name=f"exact {uuid4().hex[:8]}", plan_slug=plan)
            made = [
                await keys.create(database, settings, organization_id=organization.id, name=f"key {number}")
                for number in range(KEYS)
            ]
        finally:
            await database.close()
        return [one.plaintext for one in made]


@contextmanager
def place(made: Installation) -> Iterator[Place]:
    """Set it up in an installation."""
    mark, port = uuid4().hex[:8], free_port()
    made.plan(f"hourly-{mark}", [f"{HOURLY}/hour"])
    made.plan(f"secondly-{mark}", [f"{SECONDLY}/second"])
    made.service(f"exact-{mark}", f"/exact-{mark}", f"http://127.0.0.1:{port}")
    # The callers stand still while nothing is admitted, and a machine that is busy must not make exact limits local.
    env = {"GATEWAY_STATE_DIR": str(made.folder / f"state-{mark}"), "REDIS_TIMEOUT_MS": "2000"}
    with contextlib.ExitStack() as stack:
        stack.enter_context(start_upstream(made.folder, port))
        gateways = []
        for _ in range(PORTS):
            gateways.append(made.gateway(workers=WORKERS, env=env))
            stack.enter_context(gateways[-1].process)
        for gateway in gateways:
            made.until_ready(gateway)
        yield Place(made, tuple(gateways), f"/exact-{mark}", mark)


async def caller(address: Address, tokens: list[str], seen: Seen, pause: float) -> None:
    """Ask with any key, on one connection while it lives, until cancelled."""
    connection = Connection(address, tokens[0])
    try:
        while True:
            await asyncio.sleep(pause * random.random() * 2)
            connection.key, sent = random.choice(tokens), time.monotonic()
            try:
                if connection.closed_by_server if connection.usable else True:
                    connection.close()
                    await connection.open()
                    sent = time.monotonic()
                answer = await connection.request("/items")
            except BrokenAnswerError as error:
                seen.lost += not str(error).startswith("connect")
                continue
            answered = time.monotonic()
            if answer.status == 200:
                seen.admitted.append((sent, answered))
                seen.last_good = answered
            elif answer.status == 429:
                seen.refused += 1
            else:
                seen.others[answer.status] = seen.others.get(answer.status, 0) + 1
    finally:
        connection.close()


@contextlib.asynccontextmanager
async def callers(where: Place, tokens: list[str], pause: float) -> AsyncIterator[Seen]:
    """All connections, on both ports, at work for as long as the block."""
    seen = Seen()
    tasks = [
        asyncio.create_task(caller(Address("127.0.0.1", gateway.port, where.prefix), tokens, seen, pause))
        for gateway in where.gateways
        for _ in range(CONNECTIONS // PORTS)
    ]
    try:
        yield seen
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def killing(where: Place, *, kills: bool) -> AsyncIterator[list[int]]:
    """A worker killed every two seconds, if wanted; the victims."""
    victims: list[int] = []

    async def kill() -> None:
        while True:
            await asyncio.sleep(KILL_SECONDS)
            if pids := [pid for pid in where.workers if pid not in victims]:
                victims.append(random.choice(pids))
                os.kill(victims[-1], signal.SIGKILL)

    task = asyncio.create_task(kill()) if kills else None
    try:
        yield victims
    finally:
        if task is not None:
            task.cancel()


async def hourly(where: Place, windows: int, *, kills: bool = False) -> Outcome:
    """New windows of 1000 per hour, one after the other."""
    lines, broken = [], []
    for number in range(1, windows + 1):
        await _away_from_the_edge()
        tokens, begun = await where.customer(f"hourly-{where.mark}"), time.monotonic()
        # Killed, it lasts long enough for some deaths; else as fast as it goes.
        pause = CONNECTIONS * KILLED_RUN_SECONDS / HOURLY if kills else 0.005
        async with callers(where, tokens, pause) as seen, killing(where, kills=kills) as victims:
            while time.monotonic() - seen.last_good < QUIET_SECONDS:
                await asyncio.sleep(0.05)
        good = len(seen.admitted)
        seconds = seen.last_good - begun
        lines.append((str(number), str(good), str(seen.lost), str(seen.refused), str(len(victims)), f"{seconds:.1f}"))
        broken += [f"window {number}: {good} admitted"] if good > HOURLY else []
        broken += [f"window {number}: only {good} admitted, {seen.lost} lost"] if good + seen.lost < HOURLY else []
        broken += [f"window {number}: statuses {seen.others}"] if seen.others else []
    head = ("window", "admitted", "answers lost with a killed worker", "refused", "kills", "seconds to the last permit")
    return Outcome(f"{HOURLY}/hour{', a worker killed every 2 s' if kills else ''}", head, lines, broken)


async def secondly(where: Place, seconds: float, *, kills: bool = False) -> Outcome:
    """5 per second, asked for all the time."""
    tokens = await where.customer(f"secondly-{where.mark}")
    async with callers(where, tokens, 0.1) as seen, killing(where, kills=kills) as victims:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(0.05)
    most = most_within(seen.admitted, 1.0)
    good, least = len(seen.admitted), int(SECONDLY * seconds * 0.6)
    broken = [f"{most} admitted within a second"] if most > SECONDLY else []
    broken += [f"only {good} admitted, of about {SECONDLY * seconds:.0f}"] if good + seen.lost < least else []
    broken += [f"statuses {seen.others}"] if seen.others else []
    head = ("seconds", "admitted", "most within any second", "answers lost", "refused", "kills")
    line = (f"{seconds:.0f}", str(good), str(most), str(seen.lost), str(seen.refused), str(len(victims)))
    return Outcome(f"{SECONDLY}/second{', a worker killed every 2 s' if kills else ''}", head, [line], broken)


def most_within(admitted: list[tuple[float, float]], seconds: float) -> int:
    """The most that certainly lie in one stretch of time, whenever between its two moments each was admitted."""
    times, most = sorted(admitted), 0
    for first, (begin, _) in enumerate(times):
        inside = [answered for sent, answered in times[first:] if sent < begin + seconds]
        most = max(most, sum(answered < begin + seconds for answered in inside))
    return most


async def _away_from_the_edge() -> None:
    """Wait until the hour has a minute left: a run that sees two windows proves nothing."""
    while time.time() % 3_600 > 3_600 - EDGE_SECONDS:
        await asyncio.sleep(0.2)


async def everything(where: Place, windows: int, seconds: float) -> list[Outcome]:
    """All four."""
    return [
        await hourly(where, windows),
        await hourly(where, max(1, windows // 2), kills=True),
        await secondly(where, seconds),
        await secondly(where, seconds, kills=True),
    ]


def main() -> int:
    """See the module."""
    parser = arguments("exact", __doc__ or "")
    parser.add_argument("--windows", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    with installation() as made, place(made) as where:
        return tell(asyncio.run(everything(where, options.windows, options.seconds)), options)


if __name__ == "__main__":
    sys.exit(main())
