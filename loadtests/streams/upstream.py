"""An upstream that paces event streams: `python -m loadtests.streams.upstream --port P`.

Any GET with `?count=N` is answered with N events, one every PERIOD_MS. Each carries the monotonic time at which it was
written. Streams are spread over the period, as independent callers are: a burst of all at once would measure the burst.
"""

# ruff: noqa: D102 - what the methods are for is said where asyncio's protocol is

import argparse
import asyncio
import re
import time

import uvloop

PERIOD_MS = 20
SLOTS = 20
"""Parts of a period; a stream stays in its part."""

TEXT = "one token of an answer that comes word by word"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"b\r\ndata: end\n\n\r\n0\r\n\r\n"
_EVENT = b'id: %06d\ndata: {"sent":"%020d","delta":"' + TEXT.encode() + b'"}\n\n'
_LENGTH = len(_EVENT % (0, 0))
_CHUNK = b"%x\r\n" % _LENGTH + _EVENT + b"\r\n"
_COUNT = re.compile(rb"[?&]count=([0-9]{1,6})[& ]")


class Stream(asyncio.Protocol):
    """One connection; one stream at a time."""

    def __init__(self, wheel: "Wheel") -> None:
        self._wheel = wheel
        self._received = b""
        self._number = self._count = 0
        self.transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._received += data
        if b"\r\n\r\n" not in self._received:
            return
        found = _COUNT.search(self._received)
        self._received = b""
        self._number, self._count = 0, int(found[1]) if found else 50
        self.transport.write(HEAD)
        self._wheel.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._wheel.remove(self)

    def tick(self) -> None:
        """Send the next event, or the end behind the last one."""
        if self._number >= self._count:
            self._wheel.remove(self)
            self.transport.write(END)
            return
        self.transport.write(_CHUNK % (self._number, time.monotonic_ns()))
        self._number += 1


class Wheel:
    """Streams by their part of the period, the same number in each part."""

    def __init__(self) -> None:
        self._slots: list[set[Stream]] = [set() for _ in range(SLOTS)]

    def add(self, stream: Stream) -> None:
        """From now on it has its turn."""
        min(self._slots, key=len).add(stream)

    def remove(self, stream: Stream) -> None:
        """It has no turn any more."""
        for slot in self._slots:
            slot.discard(stream)

    async def turn(self) -> None:
        """For ever. A turn that comes late is made up for at once, so that the pace holds."""
        loop = asyncio.get_running_loop()
        step, due, number = PERIOD_MS / 1000 / SLOTS, loop.time(), 0
        while True:
            due += step
            await asyncio.sleep(due - loop.time())
            for stream in tuple(self._slots[number]):
                stream.tick()
            number = (number + 1) % SLOTS


async def serve(port: int) -> None:
    """Until the process is ended."""
    wheel = Wheel()
    await asyncio.get_running_loop().create_server(lambda: Stream(wheel), "127.0.0.1", port, backlog=2048)
    await wheel.turn()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))
