"""Tunnels: only for a 101 that was asked for, bytes both ways, ends seen by both."""

import asyncio

import pytest

from gateway.ends import Deadlines
from gateway.upstream.websocket import accept_of
from tests.integration.gateway.upstream.sides import Caller, ScriptedUpstream, Seen, on_uvloop, until

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n"
HANDSHAKE = {
    "upgrade": b"websocket",
    "headers": [(b"sec-websocket-key", KEY), (b"sec-websocket-version", b"13")],
    "deadlines": Deadlines(5, 0.3, 0.3, 0.3),
}


class Client:
    """The client's side: keeps what comes."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.ends = self.paused = self.resumed = 0

    def tunnel_data(self, data: bytes) -> None:
        self.received += data

    def tunnel_eof(self) -> None:
        self.ends += 1

    def tunnel_pause(self) -> None:
        self.paused += 1

    def tunnel_resume(self) -> None:
        self.resumed += 1


def switching(more: bytes = b""):
    """Switches, sends `more` in the same segment, then echoes."""

    async def script(seen: Seen) -> None:
        connection = seen.connection
        connection.send(SWITCH + b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n" + more)
        while data := await connection.reader.read(65_536):
            connection.send(data)
            await connection.writer.drain()
        connection.send(b"bye")
        connection.close()

    return script


def test_the_rfcs_own_example() -> None:
    assert accept_of(KEY) == ACCEPT


@on_uvloop
async def test_bytes_both_ways_and_both_ends() -> None:
    async with ScriptedUpstream(switching(b"early")) as upstream, Caller(upstream.snapshot()) as caller:
        exchange, reply = caller.begin(**HANDSHAKE)
        await asyncio.wait_for(reply.over.wait(), 2)
        head = upstream.seen[0].head
        assert b"\r\nconnection: upgrade\r\nupgrade: websocket" in head
        assert (b"sec-websocket-accept", ACCEPT) in reply.headers
        client = Client()
        await asyncio.sleep(0.02)
        reply.tunnel.attach(client)
        assert client.received == b"early"
        reply.tunnel.write(b"ping")
        await until(lambda: client.received == b"earlyping")
        # No deadline of the request ends a tunnel.
        await asyncio.sleep(0.6)
        assert client.ends == 0
        reply.tunnel.write_eof()
        await until(lambda: client.ends == 1)
        assert client.received == b"earlypingbye"
        assert (exchange.bytes_out, exchange.bytes_in) == (4, 12)
        reply.tunnel.write(b"too late")
        reply.tunnel.close()
        assert client.ends == 1


@pytest.mark.parametrize("by", ["tunnel", "exchange"])
@on_uvloop
async def test_the_client_ends_it(by: str) -> None:
    async with ScriptedUpstream(switching()) as upstream, Caller(upstream.snapshot()) as caller:
        exchange, reply = caller.begin(**HANDSHAKE)
        await reply.over.wait()
        client = Client()
        reply.tunnel.attach(client)
        reply.tunnel.write(b"last words")
        if by == "tunnel":
            reply.tunnel.close()
        else:
            exchange.abort()
        await asyncio.wait_for(upstream.connections[0].ended.wait(), 1)
        assert client.ends == 0
        await until(lambda: caller.pool.in_flight() == 0)


@on_uvloop
async def test_the_upstream_vanishes_before_a_client_is_attached() -> None:
    async def script(seen: Seen) -> None:
        seen.connection.send(SWITCH + b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\nlast")
        seen.connection.close()

    async with ScriptedUpstream(script) as upstream, Caller(upstream.snapshot()) as caller:
        _, reply = caller.begin(**HANDSHAKE)
        await reply.over.wait()
        client = Client()
        await asyncio.sleep(0.05)
        reply.tunnel.attach(client)
        assert client.received == b"last"
        await until(lambda: client.ends == 1)


@on_uvloop
async def test_back_pressure_both_ways() -> None:
    go = asyncio.Event()

    async def script(seen: Seen) -> None:
        connection = seen.connection
        connection.send(SWITCH + b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n")
        await go.wait()
        while data := await connection.reader.read(65_536):
            connection.send(data)
            await connection.writer.drain()

    async with ScriptedUpstream(script) as upstream, Caller(upstream.snapshot()) as caller:
        _, reply = caller.begin(**HANDSHAKE)
        await reply.over.wait()
        client = Client()
        reply.tunnel.attach(client)
        sent = 0
        while client.paused == client.resumed and sent < 100_000_000:
            reply.tunnel.write(b"a" * 65_536)
            sent += 65_536
        assert client.paused == 1
        assert sent < 20_000_000
        reply.tunnel.pause()
        go.set()
        await asyncio.sleep(0.1)
        assert client.received == b""
        reply.tunnel.resume()
        await until(lambda: len(client.received) == sent)
        assert client.paused == client.resumed


@pytest.mark.parametrize(
    "answer",
    [
        SWITCH + b"Sec-WebSocket-Accept: wrong\r\n\r\n",
        SWITCH + b"\r\n",
        SWITCH.replace(b"WebSocket", b"h2c") + b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n",
        SWITCH.replace(b"Connection: Upgrade\r\n", b"") + b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n",
        SWITCH + b"Content-Length: 5\r\nSec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n",
    ],
)
@on_uvloop
async def test_a_101_that_does_not_fit_the_handshake(answer: bytes) -> None:
    async def script(seen: Seen) -> None:
        seen.connection.send(answer)

    async with ScriptedUpstream(script) as upstream, Caller(upstream.snapshot()) as caller:
        reply = await caller.ask(**HANDSHAKE)
        assert reply.failure is not None
        assert reply.failure.kind == "broken"


@on_uvloop
async def test_an_ordinary_answer_to_a_handshake() -> None:
    async with ScriptedUpstream() as upstream, Caller(upstream.snapshot()) as caller:
        reply = await caller.ask(**HANDSHAKE)
        assert (reply.status, bytes(reply.body), reply.tunnel) == (200, b"hello", None)


@on_uvloop
async def test_closing_the_pool_ends_tunnels() -> None:
    async with ScriptedUpstream(switching()) as upstream, Caller(upstream.snapshot()) as caller:
        _, reply = caller.begin(**HANDSHAKE)
        await reply.over.wait()
        client = Client()
        reply.tunnel.attach(client)
        await caller.pool.close(0.1)
        assert client.ends == 1
