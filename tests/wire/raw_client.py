"""A client that sends exactly the bytes it is told and keeps everything that comes back. No HTTP, no streams."""

import asyncio
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Literal, Self

from tests.wire.answers import Transcript, read_answers


class RawClient:
    """One TCP connection. Reads all the time in the background, so an early answer is never lost to a reset.

    `end` is None while the peer has not closed, then `eof` (in order) or `reset`.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.received = bytearray()
        self.end: Literal["eof", "reset"] | None = None
        self.sent = bytearray()
        self._socket = connection
        self._news = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, address: tuple[str, int], *, receive_buffer: int | None = None) -> Self:
        """Open a connection; a small `receive_buffer` (bytes) makes a slow reader."""
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await asyncio.get_running_loop().sock_connect(connection, address)
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while self.end is None:
            await self._may_read.wait()
            try:
                data = await loop.sock_recv(self._socket, 262_144)
            except OSError:
                self.end = "reset"
            else:
                self.received += data
                if not data:
                    self.end = "eof"
            self._news.set()

    async def send(self, data: bytes, seconds: float = 5.0) -> bool:
        """Send all of `data`; False if the peer did not take it (closed, or not within `seconds`)."""
        self.sent += data
        try:
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().sock_sendall(self._socket, data)
        except (OSError, TimeoutError):
            return False
        return True

    async def until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Wait until `done()` holds or the peer closed; False if neither came within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while not done() and self.end is None:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return done()
        return True

    async def answers(self, count: int, seconds: float = 5.0, methods: Sequence[str] = ()) -> Transcript:
        """Wait for `count` whole final answers (or the end of the connection), then judge all bytes so far."""
        await self.until(lambda: self.count(methods) >= count, seconds)
        return self.transcript(methods)

    async def ended(self, seconds: float = 5.0) -> bool:
        """Wait for the peer to close; False if it did not."""
        return await self.until(lambda: False, seconds)

    def transcript(self, methods: Sequence[str] = ()) -> Transcript:
        """What has come back so far, strictly read."""
        return read_answers(bytes(self.received), methods, ended=self.end == "eof", reset=self.end == "reset")

    def count(self, methods: Sequence[str] = ()) -> int:
        """How many whole final answers are there."""
        return sum(answer.whole for answer in self.transcript(methods).final)

    def stop_reading(self) -> None:
        """Take nothing more from the peer (what is under way may still come)."""
        self._may_read.clear()

    def go_on_reading(self) -> None:
        """Take what comes again."""
        self._may_read.set()

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        if self.end != "reset":
            try:
                self._socket.shutdown(socket.SHUT_WR)
            except OSError:
                self.end = self.end or "reset"

    async def reset(self) -> None:
        """Leave with a RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.close()

    async def close(self) -> None:
        """Leave; the bytes stay."""
        self._reader.cancel()
        try:
            await asyncio.gather(self._reader, return_exceptions=True)
        finally:
            self._socket.close()
