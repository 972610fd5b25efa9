"""Many exchanges at once with an upstream that misbehaves at random: no answer reaches another request."""

import asyncio
import random

import pytest

from gateway.ends import Deadlines
from tests.integration.gateway.upstream.sides import Caller, ScriptedUpstream, Seen, on_uvloop, until

EXCHANGES = 1_500


def misbehaving(chance: random.Random):
    async def script(seen: Seen) -> None:
        connection = seen.connection
        own = seen.target + seen.body
        honest = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(own), own)
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(own), own)
        kind = chance.randrange(12)
        if kind < 5:
            connection.send(honest if kind % 2 else chunked)
        elif kind == 5:
            connection.send(honest + honest.replace(own, b"POISON")[: chance.randrange(1, 60)])
        elif kind == 6:
            connection.close()
        elif kind == 7:
            connection.send(honest[: chance.randrange(1, len(honest))])
            connection.reset()
        elif kind == 8:
            connection.send(honest)
            connection.close()
        elif kind == 9:
            connection.send(honest.replace(b"\r\nContent", b"\nContent"))
        elif kind == 10:
            cut = chance.randrange(1, len(chunked))
            connection.send(chunked[:cut])
            await asyncio.sleep(chance.random() / 100)
            connection.send(chunked[cut:])
        else:
            await asyncio.sleep(chance.random() / 20)
            connection.send(honest)

    return script


@pytest.mark.parametrize("seed", [1, 2])
@on_uvloop
async def test_own_answer_or_none(seed: int) -> None:
    chance = random.Random(seed)
    answered = 0

    async def one(caller: Caller, number: int) -> None:
        nonlocal answered
        target = b"/%d" % number
        with_body = chance.random() < 0.3
        method = b"POST" if with_body else b"GET"
        body = None if with_body and chance.random() < 0.5 else 4 if with_body else 0
        exchange, reply = caller.begin(target, method=method, body=body, deadlines=Deadlines(30, 2, 2, 0))
        if with_body:
            exchange.write(b"body")
            await asyncio.sleep(chance.random() / 100)
            exchange.finish()
        if chance.random() < 0.15:
            await asyncio.sleep(chance.random() / 50)
            exchange.abort()
            return
        await asyncio.wait_for(reply.over.wait(), 40)
        if reply.failure is None:
            assert bytes(reply.body) == target + (b"body" if with_body else b"")
            answered += 1
        else:
            assert reply.failure.kind in {"closed", "broken"}, reply.failure

    async with (
        ScriptedUpstream(misbehaving(random.Random(-seed))) as upstream,
        Caller(upstream.snapshot(), limit=16, queue_limit=EXCHANGES) as caller,
    ):
        async with asyncio.TaskGroup() as group:
            for number in range(EXCHANGES):
                group.create_task(one(caller, number))
                if number % 50 == 0:
                    await asyncio.sleep(0.01)
        assert answered > EXCHANGES * 0.4
        assert caller.pool.in_flight() == 0
        (statistics,) = caller.pool.statistics()
        assert statistics.waiting == statistics.dialing == 0
        await until(lambda: caller.pool.statistics()[0].open == caller.pool.statistics()[0].idle)
        assert statistics.open <= 17
        assert statistics.reused > EXCHANGES * 0.2
