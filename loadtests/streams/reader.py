"""Reads many event streams at once: `python -m loadtests.streams.reader URL --streams N --seconds S`.

The key is in READER_KEY. Prints what came as a line of JSON (`Seen`). Latency is from the upstream's write to our read,
by the one monotonic clock of the machine; the first second, in which the streams open, is left out.
"""

# ruff: noqa: D102 - what the methods are for is said where asyncio's protocol is

import argparse
import asyncio
import json
import os
import time
from array import array
from urllib.parse import urlsplit

import uvloop

from loadtests.streams.seen import STALL_NS, Seen, figures
from loadtests.streams.upstream import PERIOD_MS

WARM_UP_NS = 1_000_000_000
OPENED_PER_STEP, STEP_SECONDS = 16, 0.005
_SENT = b'"sent":"'


class Reader(asyncio.Protocol):
    """One stream. `over` is done when it ended, well (None) or not (what was wrong)."""

    def __init__(self, request: bytes, latencies: "array[int]", ignored_until: int) -> None:
        self._request, self._latencies, self._ignored_until = request, latencies, ignored_until
        self._rest = b""
        self._head = False
        self.events = self.stalls = 0
        self.over: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        if self._rest:
            data, self._rest = self._rest + data, b""
        if not self._head:
            data = self._without_head(data)
        # An event that is cut by the end of this read waits for the rest of it.
        end = data.rfind(b"\n\n")
        if end < 0:
            self._rest = data
            return
        if end + 4 < len(data):
            self._rest = data[end + 2 :]
        at = data.find(_SENT, 0, end)
        while at >= 0:
            self._count(int(data[at + 8 : at + 28]), now)
            at = data.find(_SENT, at + 28, end)
        if not self.over.done() and b"data: end\n\n" in data:
            self.over.set_result(None)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(f"cut after {self.events} events: {exc!r}")

    def _count(self, sent: int, now: int) -> None:
        self.events += 1
        if sent >= self._ignored_until:
            self._latencies.append(now - sent)
            if now - sent > STALL_NS:
                self.stalls += 1

    def _without_head(self, data: bytes) -> bytes:
        head, found, rest = data.partition(b"\r\n\r\n")
        if not found:
            self._rest = data
            return b""
        self._head = True
        if not head.startswith(b"HTTP/1.1 200"):
            self.over.set_result(head[:40].decode("latin-1"))
            self.transport.close()
        return rest


async def read(url: str, key: str, streams: int, seconds: float) -> Seen:
    """Open all streams, read them to their ends, for twice the time at the most."""
    parts = urlsplit(url)
    count = round(seconds * 1000 / PERIOD_MS)
    request = (
        f"GET {parts.path}?count={count} HTTP/1.1\r\nHost: {parts.netloc}\r\nX-API-Key: {key}\r\n"
        "Accept: text/event-stream\r\n\r\n"
    ).encode()
    latencies: array[int] = array("q")
    ignored_until = time.monotonic_ns() + WARM_UP_NS
    loop = asyncio.get_running_loop()
    readers: list[Reader] = []
    began, used = time.monotonic(), time.process_time()
    for number in range(streams):
        _, reader = await loop.create_connection(
            lambda: Reader(request, latencies, ignored_until), parts.hostname or "127.0.0.1", parts.port or 80
        )
        readers.append(reader)
        if number % OPENED_PER_STEP == OPENED_PER_STEP - 1:
            await asyncio.sleep(STEP_SECONDS)
    await asyncio.wait([reader.over for reader in readers], timeout=seconds * 2 + 5)
    lasted = time.monotonic() - began
    return figures(
        latencies, streams=streams, expected=streams * count, seconds=lasted, pace=seconds,
        events=sum(reader.events for reader in readers), stalled=[reader.stalls for reader in readers],
        reader=round((time.process_time() - used) / lasted, 3),
        wrong=[reader.over.result() if reader.over.done() else "never ended" for reader in readers],
    )  # fmt: skip


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    seen = uvloop.run(read(options.url, os.environ.get("READER_KEY", ""), options.streams, options.seconds))
    print(json.dumps(seen.as_dict()))


if __name__ == "__main__":
    main()
