"""Three kinds of callers, none of whom ever tries again: every failure is seen and counted."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from loadtests.raw_client import Address, Answer, BrokenAnswerError, Connection, once

STREAM_EVENTS, STREAM_MS = 100, 20


@dataclass(slots=True)
class Failure:
    """One request that did not get its whole 200: when it began and ended (monotonic), and what was seen."""

    began: float
    ended: float
    what: str


@dataclass(slots=True)
class Tally:
    """What one kind of caller saw. `reopened` counts connections that the server closed while they were idle."""

    name: str
    good: int = 0
    reopened: int = 0
    failures: list[Failure] = field(default_factory=list)

    async def one(self, request: Callable[[], Awaitable[Answer]]) -> None:
        """Make a request and count it."""
        began = time.monotonic()
        try:
            answer = await request()
        except BrokenAnswerError as error:
            self.failures.append(Failure(began, time.monotonic(), str(error)))
            return
        if answer.status == 200:
            self.good += 1
        else:
            self.failures.append(Failure(began, time.monotonic(), f"status {answer.status}"))

    def struck_by(self, moments: list[float]) -> list[Failure]:
        """Failures of requests that were under way at one of these moments."""
        return [one for one in self.failures if any(one.began <= moment <= one.ended for moment in moments)]


@dataclass(slots=True)
class Load:
    """The callers' tallies."""

    newcomers: Tally
    keepers: Tally
    streams: Tally

    @property
    def tallies(self) -> tuple[Tally, Tally, Tally]:
        """All three."""
        return self.newcomers, self.keepers, self.streams


@asynccontextmanager
async def load(
    address: Address, key: str, *, newcomers: int = 5, keepers: int = 8, streams: int = 6
) -> AsyncIterator[Load]:
    """Callers at work for as long as the block: about 20 requests a second for each newcomer and keeper.

    Leaving the block lets every request that is under way end, for 15 s at the most.
    """
    seen = Load(Tally("new connections"), Tally("kept connections"), Tally("event streams"))
    stop = asyncio.Event()
    callers = [
        *(_newcomer(address, key, seen.newcomers, stop) for _ in range(newcomers)),
        *(_keeper(address, key, seen.keepers, stop) for _ in range(keepers)),
        *(_streamer(address, key, seen.streams, stop) for _ in range(streams)),
    ]
    tasks = [asyncio.create_task(caller) for caller in callers]
    try:
        yield seen
    finally:
        stop.set()
        _, late = await asyncio.wait(tasks, timeout=15)
        for task in late:
            task.cancel()
    for task in tasks:
        await task


async def _newcomer(address: Address, key: str, tally: Tally, stop: asyncio.Event) -> None:
    while not await _stopped(stop, 0.05):
        await tally.one(lambda: once(address, key, "/items"))


async def _keeper(address: Address, key: str, tally: Tally, stop: asyncio.Event) -> None:
    connection = Connection(address, key)
    try:
        while not await _stopped(stop, 0.05):
            if connection.usable and connection.closed_by_server:
                tally.reopened += 1
                connection.close()
            await tally.one(lambda: _on(connection, "/items"))
    finally:
        connection.close()


async def _streamer(address: Address, key: str, tally: Tally, stop: asyncio.Event) -> None:
    while not await _stopped(stop, 0.05):
        async with _lone(address, key) as connection:
            await tally.one(lambda connection=connection: _whole_stream(connection))  # type: ignore[misc]


@asynccontextmanager
async def _lone(address: Address, key: str) -> AsyncIterator[Connection]:
    connection = Connection(address, key)
    try:
        yield connection
    finally:
        connection.close()


async def _on(connection: Connection, path: str) -> Answer:
    try:
        async with asyncio.timeout(10):
            if not connection.usable:
                await connection.open()
            return await connection.request(path)
    except TimeoutError as error:
        connection.close()
        raise BrokenAnswerError("no answer in 10 s") from error


async def _whole_stream(connection: Connection) -> Answer:
    answer = await _on(connection, f"/events?count={STREAM_EVENTS}&ms={STREAM_MS}")
    if answer.status == 200 and not answer.body.endswith(b"data: end\n\n"):
        raise BrokenAnswerError("UNDETECTABLE: the stream ended well but without its last event")
    return answer


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
    return stop.is_set()
