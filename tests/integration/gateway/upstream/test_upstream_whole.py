"""Answers that come in one piece take a shorter way through the pool: nobody can tell by the result."""

import asyncio

import pytest

from gateway.bounded_reads import READ_BYTES
from tests.integration.gateway.upstream.sides import (
    Caller,
    RecordingReply,
    ScriptedUpstream,
    Seen,
    on_asyncio,
    on_uvloop,
    until,
)

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello"
ANSWERS = [
    HELLO,
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + HELLO,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
]


def result(reply: RecordingReply) -> tuple:
    return reply.status, reply.headers, reply.length, bytes(reply.body), reply.interims, reply.failure


def in_two(answer: bytes, cut: int, caller: Caller):
    """The second part is sent once the first was read."""

    async def script(seen: Seen) -> None:
        if seen.target == b"/whole":
            seen.connection.send(answer)
            return
        seen.connection.send(answer[:cut])
        (exchange,) = caller.pool._active
        await until(lambda: exchange.connection is None or exchange.connection._state)
        seen.connection.send(answer[cut:])

    return script


@pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer[9:12].decode() + f"-{len(answer)}")
@on_uvloop
async def test_split_anywhere_it_is_the_same_answer(answer: bytes, known: bool) -> None:
    async with ScriptedUpstream() as upstream, Caller(upstream.snapshot()) as caller:
        for cut in range(1, len(answer)):
            upstream.script = in_two(answer, cut, caller)
            whole = await caller.ask(b"/whole")
            if not known:
                caller.pool._heads.clear()
            split = await caller.ask(b"/split")
            assert result(split) == result(whole)
            assert whole.status
            assert not whole.failure


@pytest.mark.parametrize("on_loop", [on_uvloop, on_asyncio])
def test_one_call_on_a_kept_connection(on_loop) -> None:
    @on_loop
    async def run() -> None:
        async def script(seen: Seen) -> None:
            seen.connection.send(HELLO)

        async with ScriptedUpstream(script) as upstream, Caller(upstream.snapshot()) as caller:
            for _ in range(5):
                assert (await caller.ask()).wholes == 1
            exchange, reply = caller.begin(method=b"POST", body=3)
            exchange.write(b"abc")
            exchange.finish()
            await reply.over.wait()
            assert reply.wholes == 1
            assert (exchange.bytes_in, exchange.bytes_out) == (5, 3)
            assert len(upstream.connections) == 1

    run()


@on_uvloop
async def test_a_known_head_with_another_body_method_or_end() -> None:
    head, body = HELLO[:-5], HELLO[-5:]
    answers = {
        b"/plain": HELLO,
        b"/head": head,
        b"/behind": HELLO + b"!",
        b"/two": HELLO + HELLO.replace(b"hello", b"EVIL!"),
        b"/closes": HELLO.replace(b"X-A: 1", b"Connection: close"),
        b"/longer": HELLO.replace(b"5", b"6") + b"!",
    }

    async def script(seen: Seen) -> None:
        if seen.target == b"/short":
            seen.connection.send(head + body[:2])
            seen.connection.close()
        else:
            seen.connection.send(answers[seen.target])

    async with ScriptedUpstream(script) as upstream, Caller(upstream.snapshot()) as caller:
        opened = 1
        for _ in range(2):
            for target, due, wholes, stays in (
                (b"/plain", b"hello", 1, True),
                (b"/head", b"", 0, True),
                (b"/plain", b"hello", 1, True),
                (b"/behind", b"hello", 0, False),
                (b"/two", b"hello", 0, False),
                (b"/closes", b"hello", 1, False),
                (b"/longer", b"hello!", 1, True),
                (b"/short", b"he", 0, False),
            ):
                reply = await caller.ask(target, method=b"HEAD" if target == b"/head" else b"GET")
                assert (reply.status, bytes(reply.body), reply.wholes) == (200, due, wholes), target
                assert (reply.failure is None) is (target != b"/short")
                assert len(upstream.connections) == opened, target
                opened += not stays
        await until(upstream.connections[-1].ended.is_set)


@on_uvloop
async def test_what_waits_behind_a_read_that_left_no_room_is_seen() -> None:
    length = READ_BYTES - len(b"HTTP/1.1 200 OK\r\nContent-Length: 65498\r\n\r\n")
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (length, b"a" * length)
    assert len(answer) == READ_BYTES

    async def script(seen: Seen) -> None:
        if seen.target == b"/full":
            seen.connection.send(answer + HELLO.replace(b"hello", b"EVIL!"))
        else:
            seen.connection.send(HELLO)

    async with ScriptedUpstream(script) as upstream, Caller(upstream.snapshot(), limit=1) as caller:
        for _ in range(10):
            _, full = caller.begin(b"/full")
            # Waits for the one connection there may be, so it gets it in the moment in which the answer is whole.
            own = await caller.ask(b"/own")
            assert bytes(full.body) == b"a" * length
            assert bytes(own.body) == b"hello"


@on_uvloop
async def test_a_request_begun_by_an_answer_goes_out_on_its_connection() -> None:
    async def script(seen: Seen) -> None:
        seen.connection.send(HELLO)

    async with ScriptedUpstream(script) as upstream, Caller(upstream.snapshot()) as caller:
        replies = []

        def again(_chunk: bytes) -> None:
            if len(replies) < 20:
                replies.append(caller.begin(method=b"POST" if len(replies) % 2 else b"GET")[1])
                replies[-1].on_data = again

        first = RecordingReply()
        await caller.ask()
        again(b"")
        await until(lambda: len(replies) == 20 and all(reply.over.is_set() for reply in replies))
        assert not first.status
        assert len(upstream.connections) == 1


@on_uvloop
async def test_a_given_head_is_written_as_it_is() -> None:
    head = b"POST /given HTTP/1.1\r\nX-B: 2\r\ncontent-length: 2\r\n\r\n"
    async with ScriptedUpstream() as upstream, Caller(upstream.snapshot()) as caller:
        exchange, reply = caller.begin(b"/not-looked-at", method=b"POST", body=2, head=head)
        exchange.write(b"ok")
        exchange.finish()
        await asyncio.wait_for(reply.over.wait(), 5)
        upstream_saw = upstream.seen[0]
        assert upstream_saw.head + b"\r\n\r\n" == head
        assert upstream_saw.body == b"ok"
