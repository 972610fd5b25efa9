"""Bodies both ways: framing, back-pressure, early answers, counts."""

import asyncio
import resource
from functools import partial
from pathlib import Path

import pytest

from gateway.ends import Deadlines
from gateway.upstream.exchange import Exchange
from tests.integration.gateway.upstream.sides import Caller, ScriptedUpstream, Seen, on_uvloop, until

MEGABYTE = 1 << 20


def memory() -> int:
    """Resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.parametrize(
    ("method", "body", "line"),
    [
        (b"GET", 0, None),
        (b"HEAD", 0, None),
        (b"DELETE", 0, None),
        (b"OPTIONS", 0, None),
        (b"POST", 0, b"content-length: 0"),
        (b"PUT", 0, b"content-length: 0"),
        (b"PATCH", 0, b"content-length: 0"),
        (b"GET", 3, b"content-length: 3"),
        (b"POST", None, b"transfer-encoding: chunked"),
    ],
)
@on_uvloop
async def test_request_framing(method: bytes, body: int | None, line: bytes | None) -> None:
    async with ScriptedUpstream() as upstream, Caller(upstream.snapshot()) as caller:
        exchange, reply = caller.begin(method=method, body=body)
        if body != 0:
            exchange.write(b"ab")
            exchange.write(b"")
            exchange.write(b"c")
            exchange.finish()
        await asyncio.wait_for(reply.over.wait(), 2)
        lines = upstream.seen[0].head.split(b"\r\n")[1:]
        framing = [x for x in lines if x.startswith((b"content-length", b"transfer-encoding"))]
        assert framing == ([line] if line else [])
        assert upstream.seen[0].body == (b"abc" if body != 0 else b"")
        assert exchange.bytes_out == (3 if body != 0 else 0)
        assert exchange.bytes_in == (0 if method == b"HEAD" else 5)


@on_uvloop
async def test_expect_is_never_forwarded() -> None:
    async with ScriptedUpstream() as upstream, Caller(upstream.snapshot()) as caller:
        await caller.ask(headers=[(b"expect", b"100-continue"), (b"x-a", b"b")])
        assert b"expect" not in upstream.seen[0].head
        assert b"\r\nx-a: b" in upstream.seen[0].head


@pytest.mark.parametrize("value", [b"a\r\nx-evil: 1", b"a\nb", b"a\rb", b"a\0b"])
@on_uvloop
async def test_nothing_is_sent_for_a_header_that_breaks_out(value: bytes) -> None:
    async with ScriptedUpstream() as upstream, Caller(upstream.snapshot()) as caller:
        with pytest.raises(ValueError, match="control character"):
            caller.begin(headers=[(b"x-pe-organization", value)])
        assert upstream.connections == []


def write_whole(exchange: Exchange, body: bytes) -> None:
    exchange.write(body)
    exchange.finish()


@pytest.mark.parametrize("connected", [True, False])
@on_uvloop
async def test_a_body_that_does_not_fit_its_length_is_given_up(connected: bool) -> None:
    async with ScriptedUpstream() as upstream, Caller(upstream.snapshot()) as caller:
        for wrong in (b"1", b"123"):
            exchange, reply = caller.begin(method=b"POST", body=2)
            if connected:
                await until(partial(getattr, exchange, "connection"))
            with pytest.raises(ValueError, match="request body"):
                write_whole(exchange, wrong)
            assert not reply.over.is_set()
        await until(lambda: all(connection.ended.is_set() for connection in upstream.connections) or not connected)
        assert upstream.seen == []


@on_uvloop
async def test_body_bytes_before_the_connection_are_held() -> None:
    async with ScriptedUpstream() as upstream, Caller(upstream.snapshot()) as caller:
        exchange, reply = caller.begin(method=b"POST", body=None)
        exchange.write(b"abc")
        assert (reply.paused, reply.resumed, exchange.bytes_out) == (1, 0, 0)
        exchange.write(b"def")
        await until(lambda: reply.resumed == 1)
        exchange.write(b"ghi")
        exchange.finish()
        await asyncio.wait_for(reply.over.wait(), 2)
        assert upstream.seen[0].body == b"abcdefghi"


@pytest.mark.parametrize("chunked", [True, False])
@on_uvloop
async def test_a_slow_client_holds_the_upstream_back(chunked: bool) -> None:
    sent = 0
    total = 200 * MEGABYTE

    async def script(seen: Seen) -> None:
        nonlocal sent
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % total
        seen.connection.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        block = b"a" * MEGABYTE
        for _ in range(200):
            seen.connection.send(b"%x\r\n%b\r\n" % (MEGABYTE, block) if chunked else block)
            await seen.connection.writer.drain()
            sent += MEGABYTE
        if chunked:
            seen.connection.send(b"0\r\n\r\n")

    async with ScriptedUpstream(script) as upstream, Caller(upstream.snapshot()) as caller:
        exchange, reply = caller.begin(deadlines=Deadlines(5, 5, 5, 0))
        reply.keep = False
        await until(lambda: exchange.bytes_in)
        exchange.pause()
        before, got = memory(), exchange.bytes_in
        last = -1
        while last != sent:
            last = sent
            await asyncio.sleep(0.1)
        assert exchange.bytes_in == got
        assert sent < 30 * MEGABYTE
        exchange.resume()
        await asyncio.wait_for(reply.over.wait(), 20)
        assert reply.failure is None
        assert exchange.bytes_in == total
        assert memory() - before < 20 * MEGABYTE
        assert (await caller.ask(deadlines=Deadlines(5, 5, 5, 0))).status == 200


@on_uvloop
async def test_a_slow_upstream_holds_the_client_back() -> None:
    go = asyncio.Event()
    received = 0

    async def slow(connection) -> None:
        nonlocal received
        await connection.reader.readuntil(b"\r\n\r\n")
        await go.wait()
        while received < 50 * MEGABYTE:
            received += len(await connection.reader.read(65_536))
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await connection.reader.read()

    async with ScriptedUpstream(on_connect=slow) as upstream, Caller(upstream.snapshot()) as caller:
        exchange, reply = caller.begin(method=b"PUT", body=50 * MEGABYTE)
        await until(lambda: exchange.connection)
        chunk = b"a" * 65_536

        def pour() -> None:
            while reply.paused == reply.resumed and exchange.bytes_out < 50 * MEGABYTE:
                exchange.write(chunk)

        pour()
        held = exchange.bytes_out
        assert reply.paused == 1
        assert held < 20 * MEGABYTE
        go.set()
        while exchange.bytes_out < 50 * MEGABYTE:
            await until(lambda: reply.paused == reply.resumed)
            pour()
        exchange.finish()
        await asyncio.wait_for(reply.over.wait(), 10)
        assert reply.status == 200
        assert reply.paused == reply.resumed
        assert received == 50 * MEGABYTE


@on_uvloop
async def test_an_early_refusal_is_delivered_and_the_upload_stops() -> None:
    async def refuse(connection) -> None:
        await connection.reader.readuntil(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!")
        await connection.reader.read()

    async with ScriptedUpstream(on_connect=refuse) as upstream, Caller(upstream.snapshot()) as caller:
        exchange, reply = caller.begin(method=b"POST", body=1000)
        exchange.write(b"a" * 10)
        await asyncio.wait_for(reply.over.wait(), 2)
        assert (reply.status, bytes(reply.body), reply.failure) == (413, b"no!", None)
        exchange.write(b"a" * 10)
        exchange.finish()
        assert exchange.bytes_out == 10
        await asyncio.wait_for(upstream.connections[0].ended.wait(), 1)


@on_uvloop
async def test_an_upstream_may_answer_while_it_reads() -> None:
    async def echo(connection) -> None:
        reader = connection.reader
        await reader.readuntil(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body = await reader.readexactly(size + 2)
            connection.send(b"%x\r\n%b" % (size, body))
        await reader.readexactly(2)
        connection.send(b"0\r\n\r\n")
        await reader.read()

    async with ScriptedUpstream(on_connect=echo) as upstream, Caller(upstream.snapshot()) as caller:
        exchange, reply = caller.begin(method=b"POST", body=None)
        for number in range(5):
            exchange.write(b"%d" % number)
            await until(lambda wanted=number + 1: len(reply.chunks) == wanted)
        exchange.finish()
        await asyncio.wait_for(reply.over.wait(), 2)
        assert bytes(reply.body) == b"01234"
        assert caller.pool.statistics()[0].idle == 1


@on_uvloop
async def test_events_arrive_as_they_are_sent() -> None:
    more = asyncio.Event()

    async def script(seen: Seen) -> None:
        seen.connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(3):
            seen.connection.send(b"9\r\ndata: %d\n\n\r\n" % number)
            await more.wait()
            more.clear()
        seen.connection.send(b"0\r\n\r\n")

    async with ScriptedUpstream(script) as upstream, Caller(upstream.snapshot()) as caller:
        _, reply = caller.begin()
        for number in range(3):
            await until(lambda wanted=number + 1: len(reply.chunks) == wanted, 1)
            assert reply.chunks[-1] == b"data: %d\n\n" % number
            more.set()
        await asyncio.wait_for(reply.over.wait(), 1)


@on_uvloop
async def test_interim_answers() -> None:
    async def script(seen: Seen) -> None:
        seen.connection.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        await asyncio.sleep(0.02)
        seen.connection.send(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with ScriptedUpstream(script) as upstream, Caller(upstream.snapshot()) as caller:
        for _ in range(2):
            reply = await caller.ask()
            assert (reply.continues, reply.interims, bytes(reply.body)) == (1, [103, 102], b"ok")
        assert len(upstream.connections) == 1


@on_uvloop
async def test_any_cut_of_an_answer_reads_the_same() -> None:
    whole = b"HTTP/1.1 103 E\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n"

    async def script(seen: Seen) -> None:
        at = int(seen.target[1:])
        seen.connection.send(whole[:at])
        await asyncio.sleep(0.005)
        seen.connection.send(whole[at:])

    async with ScriptedUpstream(script) as upstream, Caller(upstream.snapshot()) as caller:
        for at in range(len(whole)):
            reply = await caller.ask(b"/%d" % at)
            assert (reply.status, reply.interims, bytes(reply.body)) == (200, [103], b"abc"), at
        assert len(upstream.connections) == 1
