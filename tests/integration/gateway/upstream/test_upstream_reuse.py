"""Connections are used again only when that is safe, and a request is sent twice only when that changes nothing."""

import asyncio
import socket

import pytest

from tests.integration.gateway.upstream.sides import (
    Caller,
    ScriptedUpstream,
    Seen,
    answer_hello,
    on_asyncio,
    on_uvloop,
    until,
)

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.mark.parametrize("number", [20])
@on_uvloop
async def test_one_connection_serves_one_after_the_other(number: int) -> None:
    async with ScriptedUpstream() as upstream, Caller(upstream.snapshot()) as caller:
        for _ in range(number):
            assert bytes((await caller.ask()).body) == b"hello"
        assert len(upstream.connections) == 1
        (statistics,) = caller.pool.statistics()
        assert (statistics.opened, statistics.reused, statistics.idle) == (1, number - 1, 1)


@on_asyncio
async def test_the_standard_loop_does_as_well() -> None:
    async with ScriptedUpstream() as upstream, Caller(upstream.snapshot()) as caller:
        for _ in range(3):
            exchange, reply = caller.begin(method=b"POST", body=None)
            exchange.write(b"abc")
            exchange.finish()
            await reply.over.wait()
            assert bytes(reply.body) == b"hello"
        assert [seen.body for seen in upstream.seen] == [b"abc"] * 3
        assert len(upstream.connections) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n\r\n",
    ],
)
@on_uvloop
async def test_not_used_again(answer: bytes) -> None:
    async def script(seen: Seen) -> None:
        seen.connection.send(answer)

    async with ScriptedUpstream(script) as upstream, Caller(upstream.snapshot()) as caller:
        for _ in range(2):
            assert bytes((await caller.ask()).body) == b"ok"
        assert len(upstream.connections) == 2
        await asyncio.wait_for(upstream.connections[0].ended.wait(), 1)


@on_uvloop
async def test_idle_bytes_close_the_connection_at_once() -> None:
    async with ScriptedUpstream() as upstream, Caller(upstream.snapshot()) as caller:
        await caller.ask()
        upstream.connections[0].send(HELLO)
        await asyncio.wait_for(upstream.connections[0].ended.wait(), 1)


@on_uvloop
async def test_bytes_that_the_loop_has_not_read_yet_are_seen() -> None:
    async with ScriptedUpstream() as upstream, Caller(upstream.snapshot()) as caller:
        await caller.ask()
        # Written straight to the socket: the pool's side of the loop gets no turn before the next request.
        with upstream.connections[0].raw_socket() as raw:
            raw.send(HELLO.replace(b"hello", b"EVIL!"))
        assert bytes((await caller.ask()).body) == b"hello"
        assert len(upstream.connections) == 2


@pytest.mark.parametrize("upstream_first", [True, False])
@on_uvloop
async def test_at_a_turns_end_what_the_loop_found_in_it_is_seen_without_another_look(upstream_first: bool) -> None:
    loop, begun = asyncio.get_running_loop(), []
    here, there = socket.socketpair()
    here.setblocking(False)

    def readable() -> None:
        loop.remove_reader(here)
        caller.pool.clock.at_end(lambda: begun.append(caller.begin()[1]))

    async with ScriptedUpstream() as upstream, Caller(upstream.snapshot()) as caller:
        await caller.ask()
        loop.add_reader(here, readable)
        await asyncio.sleep(0.01)
        # Both are ready before the loop looks again: the one that makes the request, and the connection that it must not use.
        with upstream.connections[0].raw_socket() as raw:
            sends = [lambda: raw.send(HELLO.replace(b"hello", b"EVIL!")), lambda: there.send(b"1")]
            for send in sends if upstream_first else reversed(sends):
                send()
        await until(lambda: begun)
        async with asyncio.timeout(10):
            await begun[0].over.wait()
        assert bytes(begun[0].body) == b"hello"
        assert len(upstream.connections) == 2
    here.close()
    there.close()


@on_uvloop
async def test_idle_connections_expire() -> None:
    async with ScriptedUpstream() as upstream, Caller(upstream.snapshot(), keepalive_seconds=0.2) as caller:
        await caller.ask()
        await until(upstream.connections[0].ended.is_set, 2)
        await until(lambda: caller.pool.statistics() == [], 2)


@on_uvloop
async def test_the_upstreams_own_keep_alive_counts() -> None:
    async def script(seen: Seen) -> None:
        seen.connection.send(b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1, max=5\r\nContent-Length: 0\r\n\r\n")

    async with ScriptedUpstream(script) as upstream, Caller(upstream.snapshot()) as caller:
        await caller.ask()
        await until(upstream.connections[0].ended.is_set, 2)


def dies_when_reused(*, reset: bool):
    """A server whose first connection serves one request and drops dead at the second."""

    async def script(seen: Seen) -> None:
        connection = seen.connection
        if connection.number == 0 and seen.target != b"/warm":
            connection.reset() if reset else connection.close()
        else:
            await answer_hello(seen)

    return script


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize(
    ("method", "body", "times"),
    [
        (b"GET", 0, 2),
        (b"HEAD", 0, 2),
        (b"OPTIONS", 0, 2),
        (b"DELETE", 0, 2),
        (b"PUT", 0, 2),
        (b"POST", 0, 1),
        (b"PATCH", 0, 1),
        (b"PUT", 2, 1),
    ],
)
@on_uvloop
async def test_sent_again_only_if_idempotent_and_empty(method: bytes, body: int, times: int, reset: bool) -> None:
    upstream = ScriptedUpstream(dies_when_reused(reset=reset))
    async with upstream, Caller(upstream.snapshot()) as caller:
        await caller.ask(b"/warm")
        exchange, reply = caller.begin(b"/x", method=method, body=body)
        if body:
            exchange.write(b"ok")
            exchange.finish()
        await asyncio.wait_for(reply.over.wait(), 5)
        assert [seen.target for seen in upstream.seen].count(b"/x") == times
        if times == 1:
            assert reply.failure is not None
            assert (reply.failure.kind, reply.failure.sent) == ("closed", True)
        else:
            assert reply.status == 200


@on_uvloop
async def test_sent_again_once_only() -> None:
    async def script(seen: Seen) -> None:
        if seen.target == b"/warm":
            await answer_hello(seen)
        else:
            seen.connection.close()

    async with ScriptedUpstream(script) as upstream, Caller(upstream.snapshot()) as caller:
        await caller.ask(b"/warm")
        reply = await caller.ask(b"/x")
        assert reply.failure is not None
        assert len(upstream.seen) == 3


@on_uvloop
async def test_not_sent_again_after_a_byte_of_an_answer() -> None:
    async def script(seen: Seen) -> None:
        if seen.target == b"/warm":
            await answer_hello(seen)
        else:
            seen.connection.send(b"H")
            seen.connection.close()

    async with ScriptedUpstream(script) as upstream, Caller(upstream.snapshot()) as caller:
        await caller.ask(b"/warm")
        reply = await caller.ask(b"/x")
        assert reply.failure is not None
        assert reply.failure.kind == "closed"
        assert len(upstream.seen) == 2


@on_uvloop
async def test_a_fresh_connection_that_dies_is_not_tried_again() -> None:
    async def script(seen: Seen) -> None:
        seen.connection.close()

    async with ScriptedUpstream(script) as upstream, Caller(upstream.snapshot()) as caller:
        reply = await caller.ask()
        assert reply.failure is not None
        assert len(upstream.seen) == 1


@on_uvloop
async def test_a_post_survives_a_connection_that_closed_before_it_was_written() -> None:
    async with ScriptedUpstream() as upstream, Caller(upstream.snapshot()) as caller:
        await caller.ask(b"/warm")
        # The end is in the system's buffer, not yet read by the loop.
        with upstream.connections[0].raw_socket() as raw:
            raw.shutdown(socket.SHUT_WR)
        exchange, reply = caller.begin(b"/x", method=b"POST", body=2)
        exchange.write(b"ok")
        exchange.finish()
        await asyncio.wait_for(reply.over.wait(), 5)
        assert reply.status == 200
        assert [seen.target for seen in upstream.seen].count(b"/x") == 1


@on_uvloop
async def test_an_upstream_whose_answers_do_not_end_where_they_say_serves_one_request_a_connection() -> None:
    """Its surplus may come when the connection has been taken again: then nothing tells it from that one's answer."""

    async def script(seen: Seen) -> None:
        seen.connection.send(HELLO)
        if seen.target == b"/surplus":
            await asyncio.sleep(0)
            seen.connection.send(HELLO)

    async with ScriptedUpstream(script) as upstream, Caller(upstream.snapshot()) as caller:
        await caller.ask(b"/surplus")
        await asyncio.wait_for(upstream.connections[0].ended.wait(), 1)
        for _ in range(3):
            await caller.ask()
        assert len(upstream.connections) == 4
