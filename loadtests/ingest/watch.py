"""How far the request log is behind: probes whose end is known, and when their rows can be seen."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.request import urlopen
from uuid import UUID

import asyncpg

from loadtests.processes import family, processor_seconds
from loadtests.raw_client import Address, BrokenAnswerError, Connection

POLL_SECONDS, PROBE_SECONDS, SAMPLE_SECONDS = 0.025, 0.5, 1.0
ROWS = """
select id from request_log where organization_id = $1 and at > now() - interval '10 minutes' order by at desc limit 200
"""
STORED = """
select coalesce(sum(pg_stat_get_tuples_inserted(inhrelid)), 0)::bigint from pg_inherits
where inhparent = 'request_log'::regclass
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """At a moment: requests answered, rows stored, and processor seconds used by the ingester and by PostgreSQL."""

    seconds: float
    answered: int
    stored: int
    ingester: float
    postgres: float


@dataclass(slots=True)
class Watch:
    """`lags` are pairs: seconds since the watch began, and seconds from a probe's end to its row being seen."""

    began: float = field(default_factory=time.monotonic)
    lags: list[tuple[float, float]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    waiting: dict[UUID, float] = field(default_factory=dict)
    broken: int = 0

    @property
    def worst(self) -> float:
        """The greatest lag, seconds; one that was never seen is as old as the watch."""
        unseen = [time.monotonic() - ended for ended in self.waiting.values()]
        return max([lag for _, lag in self.lags] + unseen, default=float("inf"))


async def follow(
    database: str, organization: UUID, watch: Watch, ended: Callable[[UUID], float | None]
) -> None:  # fmt: skip
    """Look for rows of probes for ever; `ended` says when one ended (monotonic), None if it is not known yet."""
    connection = await asyncpg.connect(database)
    seen: set[UUID] = set()
    try:
        while True:
            rows = await connection.fetch(ROWS, organization)
            now = time.monotonic()
            for (id_,) in rows:
                if id_ not in seen and (at := ended(id_)) is not None:
                    seen.add(id_)
                    watch.waiting.pop(id_, None)
                    watch.lags.append((at - watch.began, now - at))
            await asyncio.sleep(POLL_SECONDS)
    finally:
        connection.terminate()


async def probe(address: Address, key: str, path: str, watch: Watch) -> None:
    """Make a request twice a second for ever, and note when it ended, by its id."""
    async with contextlib.AsyncExitStack() as stack:
        connection = await stack.enter_async_context(Connection(address, key))
        while True:
            try:
                if not connection.usable:
                    await connection.open()
                answer = await connection.request(path)
                watch.waiting[UUID(answer.header("x-request-id") or "")] = time.monotonic()
            except (BrokenAnswerError, ValueError):
                watch.broken += 1
                connection.close()
            await asyncio.sleep(PROBE_SECONDS)


async def sample(database: str, metrics: int, ingesters: list[int], postgres: int, watch: Watch) -> None:
    """Count once a second for ever; `metrics` is the port, 0 for none."""
    connection = await asyncpg.connect(database)
    try:
        first = await connection.fetchval(STORED)
        while True:
            stored = await connection.fetchval(STORED) - first
            answered = await asyncio.to_thread(answered_so_far, metrics) if metrics else 0
            used = processor_seconds(ingesters), processor_seconds(family(postgres) if postgres else ())
            watch.samples.append(Sample(time.monotonic() - watch.began, answered, stored, *used))
            await asyncio.sleep(SAMPLE_SECONDS)
    finally:
        connection.terminate()


def answered_so_far(port: int) -> int:
    """Exchanges that the gateway's workers have counted."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return exchanges(answer.read().decode())


def exchanges(exposition: str) -> int:
    """The sum of `paid_endpoint_exchanges_total` in the text format of Prometheus."""
    lines = [line for line in exposition.splitlines() if line.startswith("paid_endpoint_exchanges_total")]
    return round(sum(float(line.rpartition(" ")[2]) for line in lines))


@asynccontextmanager
async def background(*jobs: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run coroutines for as long as the block; one that fails ends the block with its fault."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(job) for job in jobs]
        yield
        for task in tasks:
            task.cancel()


async def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until it holds; False if it does not in that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True
