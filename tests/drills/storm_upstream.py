"""The upstream of a storm, a process of its own: answers with the marks of who asks, writes down whom it saw.

/get?size=, /post?size= (echoes), /slow?ms=, /events?count=&ms=, /upload, /download?size= (`chunked=1`: no length).
Every request names its serial in `User-Agent: storm/SERIAL` and who its caller is in `X-Mark`.
"""

import asyncio
import contextlib
import sys
import time
from pathlib import Path
from typing import IO
from urllib.parse import parse_qsl

from tests.drills.evidence import AGENT, MARK_BYTES, Arrival, mark, write
from tests.drills.storm_money import reported_micro

BLOCK = 65_536


class StormUpstream:
    """One connection is one task; what a request brings is compared, not kept."""

    def __init__(self, log: IO[str]) -> None:
        self._log = log

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until the connection ends."""
        with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        path, _, text = target.partition("?")
        query = dict(parse_qsl(text))
        serial = fields.get("user-agent", "").removeprefix(AGENT)
        organization = fields.get("x-pe-organization", "")
        arrival = Arrival(fields.get("x-pe-request-id", ""), serial, organization, time.monotonic())
        if fields.get("x-mark") != organization:
            arrival.wrong = f"the request of {fields.get('x-mark')} came as one of {organization}"
        block = mark(organization, serial)
        if "100-continue" in fields.get("expect", "").lower():
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        write(self._log, arrival)  # before anything is answered: no id may be missing here
        body = _Body(block)
        async for part in _parts(reader, fields):
            body.add(part)
        if body.foreign:
            arrival.wrong = f"{body.foreign} in the body"
            write(self._log, arrival)
        await self._answer(writer, path.rpartition("/")[2], query, block, body, head_only=method == "HEAD")
        return fields.get("connection", "").lower() != "close"

    async def _answer(
        self,
        writer: asyncio.StreamWriter,
        name: str,
        query: dict[str, str],
        block: bytes,
        body: "_Body",
        *,
        head_only: bool,
    ) -> None:
        if name == "events":
            await _events(writer, block, int(query["count"]), int(query["ms"]) / 1000)
            return
        if name == "slow":
            await asyncio.sleep(int(query["ms"]) / 1000)
        if name == "upload":
            answer = block + b"%063d\n" % body.size
        else:
            answer = block * (int(query.get("size", MARK_BYTES)) // MARK_BYTES)
        if "chunked" in query:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + _marked(block) + b"\r\n")
            for part in _blocks(answer):
                writer.write(b"%x\r\n%b\r\n" % (len(part), part))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
        else:
            cost = b"X-PE-Cost: 0.%06d\r\n" % reported_micro(body.size) if name == "upload" else b""
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(answer) + cost + _marked(block) + b"\r\n")
            for part in [] if head_only else _blocks(answer):
                writer.write(part)
                await writer.drain()
        await writer.drain()


class _Body:
    """Compares what arrives with the mark that it has to be made of."""

    def __init__(self, block: bytes) -> None:
        self._expected = block * (BLOCK * 2 // len(block))
        self.size, self.foreign = 0, ""

    def add(self, part: bytes) -> None:
        for first in range(0, len(part), BLOCK):
            piece = part[first : first + BLOCK]
            place = self.size % MARK_BYTES
            if not self.foreign and piece != self._expected[place : place + len(piece)]:
                self.foreign = f"byte {self.size} and on: {piece[:80]!r}"
            self.size += len(piece)


async def _parts(reader: asyncio.StreamReader, fields: dict[str, str]):
    if "chunked" in fields.get("transfer-encoding", ""):
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            yield await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
    else:
        left = int(fields.get("content-length", 0))
        while left:
            part = await reader.read(min(left, BLOCK))
            if not part:
                raise EOFError
            left -= len(part)
            yield part


async def _events(writer: asyncio.StreamWriter, block: bytes, count: int, spacing: float) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n")
    writer.write(_marked(block) + b"\r\n")
    for number in range(count + 1):
        event = b"data: end\n\n" if number == count else b"data: %b\n" % block
        writer.write(b"%x\r\n%b\r\n" % (len(event), event))
        await writer.drain()
        await asyncio.sleep(spacing)
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def _marked(block: bytes) -> bytes:
    return b"X-Mark: " + block.rstrip(b".\n") + b"\r\n"


def _blocks(answer: bytes) -> list[bytes]:
    return [answer[first : first + BLOCK] for first in range(0, len(answer), BLOCK)]


async def main(port: int, folder: Path) -> None:
    """Listen until the process is ended."""
    with (folder / "arrivals.jsonl").open("a") as log:
        server = await asyncio.start_server(StormUpstream(log).serve, "127.0.0.1", port, limit=1 << 20, backlog=512)
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
