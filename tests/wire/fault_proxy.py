"""A TCP proxy with faults that a test switches on and off: between client and gateway, or gateway and upstream,
database or Redis.

    async with FaultProxy(("127.0.0.1", port)) as proxy:     # proxy.address is what the party under test connects to
        proxy.to_client.delay = 0.2                          # seconds, for every piece, in one direction
        proxy.to_server.bytes_per_second = 10_000
        proxy.to_client.hold()                               # blackhole: stop reading; `release()` goes on
        proxy.to_client.cut_after(100, "hang")               # let 100 more bytes through, then hang, close or reset
        proxy.to_client.corrupt_at(17)                       # flip the lowest bit of the byte 17 bytes from now
        proxy.reset_all()                                    # RST on both sides of every connection
        proxy.refuse = True                                  # new connections are reset at once
"""

import asyncio
from typing import Literal, Self

from tests.wire.upstream import reset

PIECE = 65_536


class Direction:
    """The faults of one direction, shared by all connections; each is off at first and takes effect at once."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.bytes_per_second = 0
        self.passed = 0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._cut: tuple[int, str] | None = None
        self._corrupt: int | None = None

    def hold(self) -> None:
        """Stop reading: the sender fills its buffers and then waits. Nothing is lost."""
        self._flowing.clear()

    def release(self) -> None:
        """Go on; a `hang` of `cut_after` ends too."""
        self._flowing.set()

    def cut_after(self, count: int, how: Literal["hang", "close", "reset"]) -> None:
        """Pass `count` more bytes of all connections together, then stop so. The rest of that piece is lost."""
        self._cut = (self.passed + count, how)

    def corrupt_at(self, offset: int) -> None:
        """Flip a bit of the byte that is `offset` bytes ahead."""
        self._corrupt = self.passed + offset

    async def admit(self, piece: bytes) -> tuple[bytes, str]:
        """What of `piece` may be written now and what happens then ('', 'hang', 'close' or 'reset')."""
        if self.delay:
            await asyncio.sleep(self.delay)
        end, then = self.passed + len(piece), ""
        if self._cut is not None and end >= self._cut[0]:
            piece, then = piece[: self._cut[0] - self.passed], self._cut[1]
            self._cut = None
        if self._corrupt is not None and self.passed <= self._corrupt < self.passed + len(piece):
            at = self._corrupt - self.passed
            piece = piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1 :]
            self._corrupt = None
        self.passed += len(piece)
        if self.bytes_per_second:
            await asyncio.sleep(len(piece) / self.bytes_per_second)
        return piece, then

    async def flowing(self) -> None:
        """Wait while the direction is held."""
        await self._flowing.wait()


class FaultProxy:
    """Listens on a free port of 127.0.0.1 in the loop that starts it and passes everything to `target`."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.address = ("127.0.0.1", 0)
        self.to_server, self.to_client = Direction(), Direction()
        self.refuse = False
        self.accepted = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, *self.address)
        self.address = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()

    @property
    def open_connections(self) -> int:
        """Connections that are up now."""
        return len(self._writers) // 2

    def reset_all(self) -> None:
        """Break every connection off, both sides."""
        for writer in tuple(self._writers):
            reset(writer)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.refuse:
            reset(writer)
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(*self.target)
        except OSError:
            reset(writer)
            return
        self._writers |= {writer, server_writer}
        try:
            await asyncio.gather(
                self._pass(reader, server_writer, self.to_server, writer),
                self._pass(server_reader, writer, self.to_client, server_writer),
            )
        finally:
            for each in (writer, server_writer):
                self._writers.discard(each)
                each.close()

    async def _pass(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        faults: Direction,
        back: asyncio.StreamWriter,
    ) -> None:
        """One direction of one connection until its end; a reset on one side becomes a reset on the other."""
        try:
            while True:
                await faults.flowing()
                piece = await source.read(PIECE)
                await faults.flowing()
                if not piece:
                    break
                piece, then = await faults.admit(piece)
                sink.write(piece)
                await sink.drain()
                if then == "reset":
                    reset(sink)
                    reset(back)
                    return
                if then == "close":
                    sink.close()
                    back.close()
                    return
                if then == "hang":
                    faults.hold()
            if sink.can_write_eof():
                sink.write_eof()
        except (OSError, RuntimeError):
            reset(sink)
            reset(back)
