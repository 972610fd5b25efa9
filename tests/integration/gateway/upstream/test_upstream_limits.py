"""Connection limit, queue, deadlines, abort, closing."""

import asyncio
import socket
import time

import pytest

from gateway.ends import Deadlines
from tests.integration.gateway.upstream.sides import (
    Caller,
    ScriptedUpstream,
    Seen,
    answer_hello,
    on_uvloop,
    snapshot_of,
    until,
)


class Gate:
    """A script that answers only when told."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def __call__(self, seen: Seen) -> None:
        await self.open.wait()
        await answer_hello(seen)


@on_uvloop
async def test_the_limit_holds_and_the_queue_is_in_order() -> None:
    gate = Gate()
    async with ScriptedUpstream(gate) as upstream, Caller(upstream.snapshot(), limit=2, queue_limit=3) as caller:
        begun = [caller.begin(b"/%d" % number)[1] for number in range(6)]
        await asyncio.wait_for(begun[5].over.wait(), 1)
        assert begun[5].failure is not None
        assert (begun[5].failure.kind, begun[5].failure.sent) == ("overloaded", False)
        await until(lambda: len(upstream.seen) == 2)
        (statistics,) = caller.pool.statistics()
        assert (statistics.open, statistics.waiting) == (2, 3)
        gate.open.set()
        for reply in begun[:5]:
            await asyncio.wait_for(reply.over.wait(), 2)
            assert reply.status == 200
        assert len(upstream.connections) == 2
        assert [seen.target for seen in upstream.seen][2:] == [b"/2", b"/3", b"/4"]


@on_uvloop
async def test_waiting_in_the_queue_is_bounded_by_the_connect_deadline() -> None:
    async with ScriptedUpstream(Gate()) as upstream, Caller(upstream.snapshot(), limit=1) as caller:
        caller.begin(b"/0")
        reply = await caller.ask(b"/1", deadlines=Deadlines(0.2, 5, 5, 0))
        assert reply.failure is not None
        assert reply.failure.kind == "overloaded"
        assert caller.pool.statistics()[0].waiting == 0


@on_uvloop
async def test_an_aborted_request_leaves_the_queue() -> None:
    gate = Gate()
    async with ScriptedUpstream(gate) as upstream, Caller(upstream.snapshot(), limit=1) as caller:
        _, first = caller.begin(b"/0")
        waiting, silent = caller.begin(b"/1")
        _, last = caller.begin(b"/2")
        waiting.abort()
        gate.open.set()
        await asyncio.wait_for(last.over.wait(), 2)
        assert first.status == last.status == 200
        assert not silent.over.is_set()
        assert [seen.target for seen in upstream.seen] == [b"/0", b"/2"]


@pytest.mark.parametrize("whole_head", [True, False])
@on_uvloop
async def test_abort_is_seen_by_the_upstream(whole_head: bool) -> None:
    async def script(seen: Seen) -> None:
        if whole_head:
            seen.connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
        await seen.connection.reader.read()

    async with ScriptedUpstream(script) as upstream, Caller(upstream.snapshot()) as caller:
        exchange, reply = caller.begin()
        await until(lambda: upstream.seen and (reply.status or not whole_head))
        exchange.abort()
        exchange.abort()
        await asyncio.wait_for(upstream.connections[0].ended.wait(), 1)
        assert not reply.over.is_set()


@pytest.mark.parametrize("body", [None, 10])
@on_uvloop
async def test_an_aborted_upload_never_ends(body: int | None) -> None:
    async with ScriptedUpstream() as upstream, Caller(upstream.snapshot()) as caller:
        exchange, reply = caller.begin(method=b"POST", body=body)
        exchange.write(b"12345")
        await until(lambda: exchange.bytes_out == 5)
        exchange.abort()
        await until(lambda: upstream.connections and upstream.connections[0].ended.is_set(), 1)
        assert upstream.seen == []
        assert not reply.over.is_set()


async def silent(seen: Seen) -> None:
    await seen.connection.reader.read()


async def dripping_head(seen: Seen) -> None:
    seen.connection.send(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    while True:
        seen.connection.send(b"a")
        await asyncio.sleep(0.02)


async def dripping_interims(seen: Seen) -> None:
    while True:
        seen.connection.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await asyncio.sleep(0.06)


async def stalling_body(seen: Seen) -> None:
    seen.connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
    await seen.connection.reader.read()


async def endless_body(seen: Seen) -> None:
    seen.connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        seen.connection.send(b"a")
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("script", "deadlines", "kind"),
    [
        (silent, Deadlines(5, 0.3, 5, 0), "first_byte_timeout"),
        (dripping_head, Deadlines(5, 0.3, 5, 0), "first_byte_timeout"),
        (dripping_interims, Deadlines(5, 0.3, 5, 0), "first_byte_timeout"),
        (stalling_body, Deadlines(5, 5, 0.3, 0), "idle_timeout"),
        (endless_body, Deadlines(5, 5, 5, 0.3), "total_timeout"),
        (silent, Deadlines(5, 5, 5, 0.3), "total_timeout"),
    ],
)
@on_uvloop
async def test_deadlines(script, deadlines: Deadlines, kind: str) -> None:
    async with ScriptedUpstream(script) as upstream, Caller(upstream.snapshot()) as caller:
        began = time.monotonic()
        reply = await caller.ask(deadlines=deadlines)
        took = time.monotonic() - began
        assert reply.failure is not None
        assert (reply.failure.kind, reply.failure.sent) == (kind, True)
        assert 0.3 <= took < 1.5
        await asyncio.wait_for(upstream.connections[0].ended.wait(), 1)


@on_uvloop
async def test_a_slow_but_living_body_is_no_timeout() -> None:
    async def script(seen: Seen) -> None:
        seen.connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            await asyncio.sleep(0.1)
            seen.connection.send(b"a")

    async with ScriptedUpstream(script) as upstream, Caller(upstream.snapshot()) as caller:
        reply = await caller.ask(deadlines=Deadlines(5, 0.4, 0.4, 0))
        assert bytes(reply.body) == b"a" * 8


@on_uvloop
async def test_no_idle_deadline_while_the_client_is_the_slow_one() -> None:
    async with ScriptedUpstream(stalling_body) as upstream, Caller(upstream.snapshot()) as caller:
        exchange, reply = caller.begin(deadlines=Deadlines(5, 5, 0.2, 0))
        await until(lambda: reply.status)
        exchange.pause()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reply.over.wait(), 0.7)
        exchange.resume()
        await asyncio.wait_for(reply.over.wait(), 1)
        assert reply.failure is not None
        assert reply.failure.kind == "idle_timeout"


@on_uvloop
async def test_a_slow_client_upload_is_not_the_upstreams_fault() -> None:
    async with ScriptedUpstream() as upstream, Caller(upstream.snapshot()) as caller:
        exchange, reply = caller.begin(method=b"POST", body=6, deadlines=Deadlines(5, 0.2, 5, 0))
        for _ in range(6):
            exchange.write(b"a")
            await asyncio.sleep(0.1)
        exchange.finish()
        await asyncio.wait_for(reply.over.wait(), 2)
        assert reply.status == 200


@on_uvloop
async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with Caller(snapshot_of("http", "127.0.0.1", port)) as caller:
        reply = await caller.ask()
        assert reply.failure is not None
        assert (reply.failure.kind, reply.failure.sent) == ("connect", False)
        assert f"127.0.0.1:{port}" in reply.failure.internal


@on_uvloop
async def test_no_such_name() -> None:
    async with Caller(snapshot_of("http", "no-such-name.invalid", 80)) as caller:
        reply = await caller.ask()
        assert reply.failure is not None
        assert (reply.failure.kind, reply.failure.sent) == ("connect", False)


@on_uvloop
async def test_a_name_with_a_dead_address_uses_the_next() -> None:
    # localhost is ::1 and 127.0.0.1 on most machines; the server listens on the latter only.
    async with ScriptedUpstream() as upstream, Caller(upstream.snapshot(host="localhost")) as caller:
        assert (await caller.ask()).status == 200


@on_uvloop
async def test_connect_deadline() -> None:
    # A listener whose backlog is full neither accepts nor refuses.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        async with Caller(snapshot_of("http", "127.0.0.1", port)) as caller:
            reply = await caller.ask(deadlines=Deadlines(0.3, 5, 5, 0))
            assert reply.failure is not None
            assert (reply.failure.kind, reply.failure.sent) == ("connect_timeout", False)
        for filler in fillers:
            filler.close()


@on_uvloop
async def test_close_lets_exchanges_end_and_takes_no_more() -> None:
    gate = Gate()
    async with ScriptedUpstream(gate) as upstream, Caller(upstream.snapshot()) as caller:
        _, reply = caller.begin()
        await until(lambda: upstream.seen)
        closing = asyncio.create_task(caller.pool.close(5))
        await asyncio.sleep(0)
        late = await caller.ask()
        assert late.failure is not None
        assert late.failure.kind == "overloaded"
        assert not closing.done()
        gate.open.set()
        await asyncio.wait_for(closing, 2)
        assert reply.status == 200
        assert bytes(reply.body) == b"hello"


@on_uvloop
async def test_close_cuts_what_does_not_end() -> None:
    async with ScriptedUpstream(silent) as upstream, Caller(upstream.snapshot()) as caller:
        _, reply = caller.begin()
        await until(lambda: upstream.seen)
        await caller.pool.close(0.1)
        assert reply.failure is not None
        assert reply.failure.kind == "closed"
