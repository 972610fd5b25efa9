"""Receivers of webhooks on real sockets: each behaves in one way, and keeps what it was sent."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from standardwebhooks import Webhook

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def answer_of(status: int, body: bytes = b"", *fields: str) -> bytes:
    """An answer as bytes."""
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *fields))
    return head.encode() + b"\r\n" + body


@dataclass
class Received:
    """One request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes

    def verify(self, secret: str) -> dict:
        """Raise unless the signature is right, by an implementation that is not ours."""
        return Webhook(secret).verify(self.body, self.headers)


Answer = Callable[["Receiver", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Receiver:
    """What came, in order. `connections` also counts those that sent nothing."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook?of=test"


def answering(*answers: bytes) -> Answer:
    """Answers with each of these in turn, then with the last again and again."""
    left = list(answers)

    async def answer(receiver, reader, writer) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()

    return answer


async def hang(receiver, reader, writer) -> None:
    """Say nothing until the end of the test."""
    await receiver.stopped.wait()


async def drip(receiver, reader, writer) -> None:
    """Begin a head and never end it, a byte at a time."""
    writer.write(b"HTTP/1.1 500 Slow\r\n")
    while not receiver.stopped.is_set():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def flood(receiver, reader, writer) -> None:
    """A body without end."""
    writer.write(b"HTTP/1.1 500 Much\r\ncontent-type: text/plain\r\n\r\n")
    while not receiver.stopped.is_set():
        writer.write(b"m" * 65_536)
        await writer.drain()


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    return Received(line, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


@asynccontextmanager
async def receiving(answer: Answer | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver while the block lasts; without `answer` it takes everything. With `tls` it speaks https."""
    receiver = Receiver()
    answer = answer or answering(OK)

    async def serve(reader, writer) -> None:
        receiver.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            receiver.received.append(await _read(reader))
            await answer(receiver, reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        receiver.stopped.set()
        server.close()
        await server.wait_closed()
