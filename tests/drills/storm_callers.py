"""The callers of a storm, a process of their own: none tries again, each writes down what it saw of every request.

`python -m tests.drills.storm_callers ORDERS`: a JSON file with the address, the parties, the seed and the rate. They
stop on SIGTERM, after the requests that are under way have ended.
"""

import asyncio
import contextlib
import json
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from loadtests.raw_client import Address, Answer, BrokenAnswerError, Connection
from tests.drills.evidence import AGENT, MARK_BYTES, Sighting, mark, write

LONGEST_SECONDS = 25.0
"""Longer than any request of a storm may take: the service's own deadlines are shorter. What takes longer hung."""
MOST_UNDER_WAY_AT_END = 30.0


@dataclass(slots=True)
class Party:
    """One key and whose it is; `standing`: live, revoked, unknown."""

    organization: str
    key: str
    standing: str


class Caller:
    """One caller: one request at a time, on a connection that it keeps while its kind of request allows."""

    def __init__(self, number: int, orders: "Orders", party: Party, kind: str) -> None:
        self._orders, self._party, self._kind = orders, party, kind
        self._name = f"{orders.run}-{number}"
        self._random = random.Random(f"{orders.seed}:{number}")
        self._count = 0
        self._connection = Connection(orders.address, party.key)

    async def run(self, stop: asyncio.Event, pause: float) -> None:
        """Ask until told to stop; `pause` seconds between requests, give or take a half."""
        act: Callable[[Sighting], Awaitable[None]] = getattr(self, f"_{self._kind}")
        while not await _stopped(stop, pause * (0.5 + self._random.random())):
            self._count += 1
            serial = f"{self._name}-{self._count}"
            seen = Sighting(serial, self._kind, self._party.organization, self._party.standing, time.monotonic())
            try:
                async with asyncio.timeout(LONGEST_SECONDS):
                    await act(seen)
            except BrokenAnswerError as error:
                seen.cut = str(error)[:200]
            except TimeoutError:
                seen.hung, seen.cut = True, f"no end in {LONGEST_SECONDS:.0f} s"
            if seen.cut or seen.aborted or self._kind == "fresh":
                self._connection.close()
            seen.ended = time.monotonic()
            write(self._orders.log, seen)
        self._connection.close()

    # -- kinds of requests

    async def _get(self, seen: Sighting) -> None:
        size = MARK_BYTES * self._random.randint(1, 30)
        await self._whole(seen, f"/get?size={size}", expected=self._mark(seen) * (size // MARK_BYTES))

    _fresh = _get

    async def _head(self, seen: Sighting) -> None:
        await self._whole(seen, "/get?size=640", "HEAD")

    async def _post(self, seen: Sighting) -> None:
        count = self._random.randint(1, 60)
        size = MARK_BYTES * count
        body = self._mark(seen) * count
        await self._whole(seen, f"/post?size={size}", "POST", body=body, expected=body)

    async def _events(self, seen: Sighting) -> None:
        count = self._random.randint(10, 60)
        expected = b"data: %b\n" % self._mark(seen) * count + b"data: end\n\n"
        await self._whole(seen, f"/events?count={count}&ms=25", expected=expected)

    async def _download(self, seen: Sighting) -> None:
        size = MARK_BYTES * self._random.randint(5_000, 30_000)
        more = self._random.choice(("", "&chunked=1"))
        await self._whole(seen, f"/download?size={size}{more}", expected=self._mark(seen) * (size // MARK_BYTES))

    async def _upload(self, seen: Sighting) -> None:
        count = self._random.randint(10_000, 50_000)
        expected = self._mark(seen) + b"%063d\n" % (count * MARK_BYTES)
        fields, body = "", self._mark(seen) * count
        if self._random.random() < 0.3:
            fields = "Expect: 100-continue\r\n"
        await self._whole(seen, "/upload", "PUT", fields, body, expected=expected)

    async def _leaver(self, seen: Sighting) -> None:
        seen.aborted = self._random.choice(("in the head", "in the body", "waiting", "after the head", "in the answer"))
        connection, fields, here = await self._ready(), self._fields(seen), self._orders.address.prefix
        if seen.aborted == "in the head":
            connection.writer.write(f"GET {here}/get HTTP/1.1\r\nHost: x\r\n{fields[:40]}".encode())
        elif seen.aborted == "in the body":
            self._begin(f"PUT {here}/upload HTTP/1.1\r\nContent-Length: 400000\r\n{fields}", self._mark(seen) * 3_000)
            await asyncio.sleep(self._random.random() * 0.05)
        elif seen.aborted == "waiting":
            self._begin(f"GET {here}/slow?ms=500 HTTP/1.1\r\n{fields}")
            await asyncio.sleep(self._random.random() * 0.4)
        else:
            path = "/events?count=40&ms=25" if seen.aborted == "after the head" else "/download?size=4000000"
            answer = await connection.send(path, headers=fields)
            _note(seen, answer)
            expected = b"data: %b\n" % self._mark(seen) * 40 if "events" in path else self._mark(seen) * 62_500
            if seen.aborted == "in the answer" or answer.status != 200:
                await self._receive(seen, connection, answer, "GET", expected, most=200_000)
        connection.writer.transport.abort()

    # -- how they are made

    def _begin(self, head: str, body: bytes = b"") -> None:
        key = f"X-API-Key: {self._party.key}\r\nHost: storm.test\r\n\r\n"
        self._connection.writer.write((head + key).encode() + body)

    async def _ready(self) -> Connection:
        if not self._connection.usable or self._connection.closed_by_server:
            self._connection.close()
            await self._connection.open()
        return self._connection

    async def _whole(
        self, seen: Sighting, path: str, method: str = "GET", fields: str = "", body: bytes = b"", expected: bytes = b""
    ) -> None:
        connection = await self._ready()
        answer = await connection.send(path, method, self._fields(seen) + fields, body)
        _note(seen, answer)
        if answer.status != 200:
            expected = b""
        elif answer.header("x-mark") != self._mark(seen).rstrip(b".\n").decode():
            seen.wrong = f"foreign: the head of {answer.header('x-mark')}"
        await self._receive(seen, connection, answer, method, expected)

    async def _receive(
        self, seen: Sighting, connection: Connection, answer: Answer, method: str, expected: bytes, most: int = 1 << 40
    ) -> None:
        body = bytearray()
        try:
            async for part in connection.body(answer, method):
                body += part
                if len(body) > most:
                    break
            else:
                seen.whole = True
        finally:
            seen.received = len(body)
            seen.wrong = seen.wrong or _wrong(seen, bytes(body), expected)
        if seen.wrong:
            connection.close()

    def _mark(self, seen: Sighting) -> bytes:
        return mark(self._party.organization, seen.serial)

    def _fields(self, seen: Sighting) -> str:
        return f"User-Agent: {AGENT}{seen.serial}\r\nX-Mark: {self._party.organization}\r\n"


def _note(seen: Sighting, answer: Answer) -> None:
    seen.status, seen.request_id = answer.status, answer.header("x-request-id") or ""


def _wrong(seen: Sighting, body: bytes, expected: bytes) -> str:
    """What is wrong with a body: somebody else's bytes, or an end that looks well and is none."""
    if seen.status != 200:
        if seen.whole and body:
            problem = json.loads(body)
            seen.code = problem["code"]
            return "" if problem["request_id"] == seen.request_id else "foreign: the problem of another request"
        return ""
    if not expected.startswith(body):
        place = next((n for n, (a, b) in enumerate(zip(body, expected, strict=False)) if a != b), len(expected))
        return f"foreign: byte {place} and on: {body[place : place + 80]!r}"
    if seen.whole and body != expected:
        return f"truncated: {len(body)} of {len(expected)} bytes, and no sign of it"
    return ""


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
    return stop.is_set()


@dataclass(slots=True)
class Orders:
    """What a load is. `cast`: caller by caller the party's number, the kind, and the pause in seconds."""

    run: str
    seed: int
    address: Address
    parties: list[Party]
    cast: list[tuple[int, str, float]]
    log: IO[str]


@contextlib.asynccontextmanager
async def _orders(path: Path) -> AsyncIterator[Orders]:
    given: dict[str, Any] = json.loads(path.read_text())
    with (path.parent / "sightings.jsonl").open("a") as log:
        parties = [Party(**party) for party in given["parties"]]
        yield Orders(given["run"], given["seed"], Address.of(given["url"]), parties, given["cast"], log)


async def main(path: Path) -> None:
    """Call until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with _orders(path) as orders:
        calls = [
            asyncio.create_task(Caller(number, orders, orders.parties[party], kind).run(stop, pause))
            for number, (party, kind, pause) in enumerate(orders.cast)
        ]
        await stop.wait()
        _, late = await asyncio.wait(calls, timeout=MOST_UNDER_WAY_AT_END)
        for call in late:
            call.cancel()
        for call in calls:
            await call


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
