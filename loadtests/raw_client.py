"""An HTTP/1.1 client on a bare socket that never retries and never hides what it saw.

Load drills need to know of every single failure; an ordinary client mends some of them behind the caller's back.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

CHUNK = 65_536


class BrokenAnswerError(Exception):
    """The connection ended, was refused, or spoke nonsense before the answer was whole. `sent`: a request was out."""


@dataclass(slots=True)
class Answer:
    """One final answer; `headers` in wire order, names as sent."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first value of a header, by its lower-case name."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def closes(self) -> bool:
        """Whether the server announced that it closes the connection."""
        return (self.header("connection") or "").lower() == "close"


@dataclass(slots=True)
class Address:
    """Where requests go: host, port, and what stands before every path."""

    host: str
    port: int
    prefix: str = ""

    @classmethod
    def of(cls, url: str) -> "Address":
        """From `http://host:port/prefix`."""
        parts = urlsplit(url)
        return cls(parts.hostname or "127.0.0.1", parts.port or 80, parts.path.rstrip("/"))


@dataclass(slots=True)
class Connection:
    """One connection, one request at a time. `usable` turns False once it cannot take another request."""

    address: Address
    key: str
    reader: asyncio.StreamReader = field(init=False)
    writer: asyncio.StreamWriter = field(init=False)
    usable: bool = False

    async def open(self) -> Self:
        """Connect. Raises BrokenAnswerError."""
        try:
            self.reader, self.writer = await asyncio.open_connection(self.address.host, self.address.port, limit=CHUNK)
        except OSError as error:
            raise BrokenAnswerError(f"connect: {error!r}") from error
        self.usable = True
        return self

    def close(self) -> None:
        """Close without waiting."""
        if self.usable or hasattr(self, "writer"):
            self.usable = False
            self.writer.close()

    async def __aenter__(self) -> Self:
        return self if self.usable else await self.open()

    async def __aexit__(self, *_: object) -> None:
        self.close()

    @property
    def closed_by_server(self) -> bool:
        """Whether the server's end of an idle connection has been seen."""
        return not self.usable or self.reader.at_eof() or self.reader.exception() is not None

    async def request(self, path: str, method: str = "GET", headers: str = "", body: bytes = b"") -> Answer:
        """Send a request (`headers` are whole lines) and read its whole answer. Raises BrokenAnswerError."""
        answer = await self.send(path, method, headers, body)
        answer.body = b"".join([part async for part in self.body(answer, method)])
        return answer

    async def read_answer(self, method: str = "GET") -> Answer:
        """Read the whole answer to a request that was written by hand. Raises BrokenAnswerError."""
        answer = await self._guarded_head()
        answer.body = b"".join([part async for part in self.body(answer, method)])
        return answer

    async def send(self, path: str, method: str = "GET", headers: str = "", body: bytes = b"") -> Answer:
        """Send a request and read the head of its answer. Raises BrokenAnswerError."""
        length = f"Content-Length: {len(body)}\r\n" if body or method in {"POST", "PUT", "PATCH"} else ""
        key = f"X-API-Key: {self.key}\r\n" if self.key else ""
        head = (
            f"{method} {self.address.prefix}{path} HTTP/1.1\r\nHost: {self.address.host}:{self.address.port}\r\n"
            f"{key}{length}{headers}\r\n"
        )
        self.writer.write(head.encode("latin-1") + body)
        return await self._guarded_head()

    async def body(self, answer: Answer, method: str = "GET") -> AsyncIterator[bytes]:
        """The parts of the body as they arrive, de-chunked. Raises BrokenAnswerError if it is cut."""
        try:
            async for part in self._parts(answer, method):
                yield part
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            self.close()
            raise BrokenAnswerError(f"body: {error!r}") from error
        if answer.closes:
            self.close()

    async def _guarded_head(self) -> Answer:
        try:
            await self.writer.drain()
            return await self._head()
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            self.close()
            raise BrokenAnswerError(f"head: {error!r}") from error

    async def _head(self) -> Answer:
        while True:
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            version, _, rest = lines[0].partition(" ")
            if not version.startswith("HTTP/1."):
                raise ValueError(f"not a status line: {lines[0][:80]!r}")
            status = int(rest[:3])
            if status >= 200 or status == 101:
                break
        pairs = (line.partition(":") for line in lines[1:] if line)
        return Answer(status, [(name, value.strip()) for name, _, value in pairs])

    def _parts(self, answer: Answer, method: str) -> AsyncIterator[bytes]:
        length = answer.header("content-length")
        if method == "HEAD" or answer.status in {204, 304}:
            return self._exactly(0)
        if answer.header("transfer-encoding"):
            return self._chunks()
        return self._until_close() if length is None else self._exactly(int(length))

    async def _until_close(self) -> AsyncIterator[bytes]:
        while part := await self.reader.read(CHUNK):
            yield part
        self.close()

    async def _exactly(self, left: int) -> AsyncIterator[bytes]:
        while left:
            part = await self.reader.read(min(left, CHUNK))
            if not part:
                raise EOFError(f"{left} bytes of the body are missing")
            left -= len(part)
            yield part

    async def _chunks(self) -> AsyncIterator[bytes]:
        while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
            async for part in self._exactly(size):
                yield part
            if await self.reader.readexactly(2) != b"\r\n":
                raise ValueError("chunk without end")
        while await self.reader.readuntil(b"\r\n") != b"\r\n":
            pass


async def once(address: Address, key: str, path: str, seconds: float = 10.0) -> Answer:
    """One request on a connection of its own. Raises BrokenAnswerError, also when it takes longer than `seconds`."""
    connection = Connection(address, key)
    try:
        async with asyncio.timeout(seconds):
            await connection.open()
            return await connection.request(path, headers="Connection: close\r\n")
    except TimeoutError as error:
        raise BrokenAnswerError(f"no answer in {seconds} s") from error
    finally:
        connection.close()


async def exactly(address: Address, key: str, path: str, count: int, connections: int) -> dict[int, int]:
    """Ask `count` times over kept connections and wait for every answer: how many of each status."""
    statuses: dict[int, int] = {}
    left = count

    async def ask() -> None:
        nonlocal left
        async with Connection(address, key) as connection:
            while left > 0:
                left -= 1
                answer = await connection.request(path)
                statuses[answer.status] = statuses.get(answer.status, 0) + 1

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(ask())
    return statuses
