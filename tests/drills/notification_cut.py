"""A way to PostgreSQL on which the change notifications can be lost, in the two ways in which that happens.

`silent`: the listener's connection stays open and nothing arrives on it any more, as behind a dead firewall entry.
Every other connection works all the time, so reads still do.
"""

import asyncio
import contextlib
from typing import Self

LISTENER = b"paid-endpoint listener"
BLOCK = 65_536


class NotificationCut:
    """A TCP proxy; while `silent` is set, the database's bytes for a listener go nowhere."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._pairs: set[asyncio.Task[None]] = set()
        self.silent = False
        self.listeners = 0

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._pair, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._pairs:
            task.cancel()
        await asyncio.gather(*self._pairs, return_exceptions=True)

    async def _pair(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pairs.add(task)
        their_reader, their_writer = await asyncio.open_connection(*self._target)
        marks: set[bytes] = set()
        try:
            await asyncio.wait(
                {
                    asyncio.ensure_future(self._up(reader, their_writer, marks)),
                    asyncio.ensure_future(self._down(their_reader, writer, marks)),
                },
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            self._pairs.discard(task)
            writer.close()
            their_writer.close()

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, marks: set[bytes]) -> None:
        with contextlib.suppress(OSError):
            while part := await reader.read(BLOCK):
                if LISTENER in part:
                    marks.add(LISTENER)
                    self.listeners += 1
                writer.write(part)
                await writer.drain()

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, marks: set[bytes]) -> None:
        with contextlib.suppress(OSError):
            while part := await reader.read(BLOCK):
                if not (self.silent and marks):
                    writer.write(part)
                    await writer.drain()
