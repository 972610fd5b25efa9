"""An upstream that reads strictly, records every request with its bytes, and answers each with a number of its own."""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Self

from tests.wire.grammar import MalformedError
from tests.wire.requests import WireRequest, parse_request


@dataclass
class Recorded:
    """One request as it arrived. `state`: begun -> whole, or cut (the sender stopped), or malformed (`problem`)."""

    number: int
    connection: int
    raw: bytearray = field(default_factory=bytearray)
    request: WireRequest | None = None
    state: Literal["begun", "whole", "cut", "malformed"] = "begun"
    problem: str = ""
    begun: float = field(default_factory=time.monotonic)
    ended: float = 0.0
    answered: bool = False

    @property
    def target(self) -> str:
        """The target, or as much of the first line as is there."""
        return self.request.target if self.request else bytes(self.raw).split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def text(self) -> str:
        """Start line, fields and trailers; the raw head if it could not be read."""
        return self.request.text if self.request else bytes(self.raw).split(b"\r\n\r\n")[0].decode("latin-1")


@dataclass(frozen=True)
class Script:
    """What a scripted target gets: `response` (bytes, or made from the request), then a pause, `late`, and an end.

    With neither `close` nor `reset` the connection stays open and what comes next on it is answered in the ordinary
    way. `drip_ms`: one byte at a time. `early`: answer when the head is there, without waiting for the body.
    """

    response: bytes | Callable[[Recorded], bytes]
    drip_ms: int = 0
    delay_ms: int = 0
    late: bytes = b""
    close: bool = False
    reset: bool = False
    early: bool = False


class RecordingUpstream:
    """Runs on a thread and event loop of its own, so that the test's loop is never in its way. `port` once started."""

    def __init__(self) -> None:
        self.port = 0
        self.records: list[Recorded] = []
        self.scripts: dict[str, Script] = {}
        self.played: dict[str, int] = {}
        self.connections = 0
        self.open_connections = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> Self:
        """Listen on a free port of 127.0.0.1."""
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def stop(self) -> None:
        """Close everything; nothing is left running."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def script(self, target: str, script: Script) -> None:
        """From now on a request whose target contains `target` gets `script`."""
        self.played.pop(target, None)
        self.scripts[target] = script

    def mark(self) -> int:
        """A position for `since`."""
        return len(self.records)

    def since(self, mark: int = 0, containing: str = "") -> list[Recorded]:
        """Requests recorded after `mark` whose target contains a string, in the order of their first byte."""
        return [record for record in self.records[mark:] if containing in record.target]

    async def settled(self, mark: int = 0, seconds: float = 2.0) -> bool:
        """Wait until no request since `mark` is still arriving."""
        return await reached(lambda: all(record.state != "begun" for record in self.records[mark:]), seconds)

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=1 << 20, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _close(self) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports say goodbye in the next turn of the loop

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = self._loop.create_task(self._serve(self.connections, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_connections += 1
        held = b""
        try:
            while True:
                record, held = await self._receive(connection, reader, writer, held)
                if record is None or record.state == "cut":
                    break
                if not await self._answer(record, writer):
                    break
        except OSError:
            pass
        finally:
            self.open_connections -= 1
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    async def _receive(
        self, connection: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, held: bytes
    ) -> tuple[Recorded | None, bytes]:
        """The next request and the bytes behind it. None if the connection ended before one began."""
        record: Recorded | None = None
        continued = False
        while True:
            if held and record is None:
                record = Recorded(len(self.records) + 1, connection)
                self.records.append(record)
            if record is not None and held:
                record.raw += held
                held = b""
                try:
                    record.request = parse_request(bytes(record.raw)) or record.request
                except MalformedError as problem:
                    record.state, record.problem, record.ended = "malformed", str(problem), time.monotonic()
                    return record, b""
                if (request := record.request) is not None:
                    if request.whole:
                        held = bytes(record.raw[request.length :])
                        del record.raw[request.length :]
                        record.state, record.ended = "whole", time.monotonic()
                        return record, held
                    if not record.answered and (script := self._script_for(record)) and script.early:
                        await self._play(script, record, writer)
                    elif not continued and "100-continue" in request.text.lower():
                        continued = True
                        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            try:
                held = await reader.read(1 << 20)
            except OSError:
                held = b""
            if not held:
                if record is not None:
                    record.state, record.ended = "cut", time.monotonic()
                return record, b""

    def _script_for(self, record: Recorded) -> Script | None:
        found = [name for name in self.scripts if name in record.target]
        return self.scripts[max(found, key=len)] if found else None

    async def _answer(self, record: Recorded, writer: asyncio.StreamWriter) -> bool:
        """False if the connection ends here."""
        if record.state == "malformed":
            body = f"answer {record.number}: {record.problem}\n".encode("ascii", "replace")
            writer.write(_head("400 Bad Request", record.number, len(body), "Connection: close\r\n") + body)
            return False
        if record.answered:
            return True
        script = self._script_for(record)
        if script is not None:
            return await self._play(script, record, writer)
        body = f"answer {record.number} to {record.target}\n".encode()
        writer.write(_head("200 OK", record.number, len(body)) + (b"" if record.request.method == "HEAD" else body))  # type: ignore[union-attr]
        await writer.drain()
        return True

    async def _play(self, script: Script, record: Recorded, writer: asyncio.StreamWriter) -> bool:
        record.answered = True
        response = script.response(record) if callable(script.response) else script.response
        for piece in [response[i : i + 1] for i in range(len(response))] if script.drip_ms else [response]:
            writer.write(piece)
            await writer.drain()
            if script.drip_ms:
                await asyncio.sleep(script.drip_ms / 1000)
        if script.delay_ms:
            await asyncio.sleep(script.delay_ms / 1000)
        if script.late:
            writer.write(script.late)
            await writer.drain()
        if script.reset:
            reset(writer)
        for name in [name for name in self.scripts if name in record.target]:
            self.played[name] = self.played.get(name, 0) + 1
        return not (script.close or script.reset)


def _head(status: str, number: int, length: int, more: str = "") -> bytes:
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nX-Answer: {number}\r\nContent-Length: {length}\r\n{more}\r\n"
    ).encode()


def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection off with a RST."""
    peer: socket.socket | None = writer.get_extra_info("socket")
    if peer is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def reached(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll `condition` until it holds; False after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.005)
    return True
