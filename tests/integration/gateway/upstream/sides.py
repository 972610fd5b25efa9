"""Both sides of an upstream connection for tests: a server that sends scripted bytes, and a Reply that keeps all."""

import asyncio
import functools
import os
import socket
import struct
from collections.abc import Awaitable, Callable

import uvloop

from domain.settings import UpstreamSettings
from domain.snapshots import UpstreamSnapshot
from gateway.ends import Deadlines, UpstreamFailure, UpstreamRequest
from gateway.upstream.exchange import Exchange
from gateway.upstream.pool import UpstreamPool

PLENTY = Deadlines(connect=5, first_byte=5, idle=5, total=0)


def on_uvloop(test):
    """Run an async test on a uvloop of its own, as the gateway does."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        loop = uvloop.new_event_loop()
        try:
            loop.run_until_complete(asyncio.wait_for(test(*args, **kwargs), 60))
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    return run


def on_asyncio(test):
    """The same on the standard library's loop."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        with asyncio.Runner() as runner:
            runner.run(asyncio.wait_for(test(*args, **kwargs), 60))

    return run


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait for a condition, failing after so long."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


class RecordingReply:
    """Keeps every call, and checks their order."""

    def __init__(self) -> None:
        self.status = 0
        self.headers = []
        self.length = None
        self.body = bytearray()
        self.chunks = []
        self.trailers = []
        self.interims = []
        self.continues = 0
        self.failure: UpstreamFailure | None = None
        self.tunnel = None
        self.paused = 0
        self.resumed = 0
        self.over = asyncio.Event()
        self.on_data = None
        self.wholes = 0
        self.keep = True

    def reply_interim(self, status, headers):
        assert not self.status
        self.interims.append(status)

    def reply_continue(self):
        assert not self.status
        self.continues += 1

    def reply_head(self, status, headers, length):
        assert not self.status
        self.status, self.headers, self.length = status, headers, length

    def reply_whole(self, head, body):
        assert head.length == len(body)
        assert not self.interims
        self.wholes += 1
        self.reply_head(head.status, head.headers, head.length)
        if body:
            self.reply_data(body)
        self.reply_end()

    def reply_data(self, chunk):
        assert self.status
        assert not self.over.is_set()
        assert type(chunk) is bytes
        assert chunk
        if self.keep:
            self.body += chunk
            self.chunks.append(chunk)
        if self.on_data:
            self.on_data(chunk)

    def reply_trailer(self, name, value):
        assert self.status
        assert not self.over.is_set()
        self.trailers.append((name, value))

    def reply_end(self):
        assert self.status
        assert not self.over.is_set()
        self.over.set()

    def reply_failed(self, failure):
        assert not self.over.is_set()
        self.failure = failure
        self.over.set()

    def reply_tunnel(self, headers, tunnel):
        assert not self.over.is_set()
        self.headers, self.tunnel = headers, tunnel
        self.over.set()

    def upstream_pause(self):
        self.paused += 1

    def upstream_resume(self):
        self.resumed += 1


class Seen:
    """One request as it arrived at the upstream."""

    def __init__(self, connection: "ScriptedConnection", head: bytes, body: bytes) -> None:
        self.connection, self.head, self.body = connection, head, body
        self.line = head.split(b"\r\n")[0]
        self.target = self.line.split(b" ")[1]


class ScriptedConnection:
    """One connection at the upstream. `ended` is set once the gateway is gone."""

    def __init__(self, number, reader, writer):
        self.number, self.reader, self.writer = number, reader, writer
        self.ended = asyncio.Event()

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def raw_socket(self) -> socket.socket:
        """The system's socket, to act on behind the loop's back."""
        return socket.socket(fileno=os.dup(self.writer.get_extra_info("socket").fileno()))

    def reset(self) -> None:
        # Without lingering a close is a reset.
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()


Script = Callable[[Seen], Awaitable[None]]


async def answer_hello(seen: Seen) -> None:
    seen.connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


class ScriptedUpstream:
    """A raw server: reads whole requests, keeps them, and lets the script answer. `bare` scripts get no request."""

    def __init__(self, script: Script = answer_hello, *, tls=None, on_connect=None) -> None:
        self.script = script
        self.on_connect = on_connect
        self.tls = tls
        self.seen: list[Seen] = []
        self.connections: list[ScriptedConnection] = []
        self.tasks = set()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for connection in self.connections:
            connection.writer.transport.abort()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _accepted(self, reader, writer):
        task = asyncio.current_task()
        self.tasks.add(task)
        connection = ScriptedConnection(len(self.connections), reader, writer)
        self.connections.append(connection)
        try:
            if self.on_connect:
                await self.on_connect(connection)
            else:
                while True:
                    await self._one(connection)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            connection.ended.set()
            writer.transport.abort()
            self.tasks.discard(task)

    async def _one(self, connection):
        reader = connection.reader
        head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        body = b""
        if b"content-length" in fields:
            body = await reader.readexactly(int(fields[b"content-length"]))
        elif fields.get(b"transfer-encoding") == b"chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += await reader.readexactly(size)
                assert await reader.readexactly(2) == b"\r\n"
            assert await reader.readexactly(2) == b"\r\n"
        seen = Seen(connection, head, body)
        self.seen.append(seen)
        await self.script(seen)

    def snapshot(self, *, host="127.0.0.1", tls_verify=True) -> UpstreamSnapshot:
        scheme = "https" if self.tls else "http"
        return snapshot_of(scheme, host, self.port, tls_verify=tls_verify)


def snapshot_of(scheme, host, port, *, tls_verify=True) -> UpstreamSnapshot:
    url = f"{scheme}://{host}:{port}"
    return UpstreamSnapshot(url, scheme, host, port, b"", f"{host}:{port}".encode(), tls_verify)


class Caller:
    """Sends requests to one origin through a pool of its own, closed at the end with nothing left behind."""

    def __init__(self, origin: UpstreamSnapshot, limit: int = 8, **settings) -> None:
        self.origin = origin
        self.limit = limit
        self.pool = UpstreamPool(UpstreamSettings(**settings))

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, *_):
        await self.pool.close(0)
        if kind is None:
            assert self.pool.in_flight() == 0
            assert self.pool.statistics() == []

    def begin(
        self, target=b"/", *, method=b"GET", body=0, headers=(), upgrade=b"", deadlines=PLENTY, head=b""
    ) -> tuple[Exchange, RecordingReply]:
        reply = RecordingReply()
        lines = [(b"host", self.origin.host_header), *headers]
        request = UpstreamRequest(method, target, lines, body, upgrade, head)
        return self.pool.send(self.origin, request, reply, deadlines, self.limit), reply

    async def ask(self, target=b"/", **how) -> RecordingReply:
        _, reply = self.begin(target, **how)
        await asyncio.wait_for(reply.over.wait(), 10)
        return reply
