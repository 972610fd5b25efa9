"""The worker is killed before, in, and behind an answer: a repeat never costs a second time."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest

from loadtests.processes import children
from tests.deadlines import until
from tests.gateways import RunningGateway, running_gateway
from tests.integration.gateway.charging.conftest import CREDITS, PRICE, Shop
from tests.integration.gateway.replaying.conftest import Caller, furnish, new_caller
from tests.integration.gateway.replaying.test_repeats import STREAMED, WHOLE, code, scripted
from tests.wire.answers import WireAnswer
from tests.wire.raw_client import RawClient
from tests.wire.upstream import RecordingUpstream, Script


@pytest.fixture
async def mortal(fresh_database_url: str, redis_url: str) -> AsyncIterator[Shop]:
    """A shop of its own, with two workers that their supervisor replaces."""
    upstream = RecordingUpstream().start()
    async with asyncpg.create_pool(fresh_database_url, min_size=1, max_size=2) as pool:
        async with pool.acquire() as connection:
            await furnish(connection, upstream.port)
        async with running_gateway(fresh_database_url, redis_url, workers=2) as gateway:
            yield Shop(gateway, upstream, pool, fresh_database_url)
    upstream.stop()


def kill_workers(gateway: RunningGateway) -> None:
    for worker in children(gateway.pid, "gateway.server.worker"):
        os.kill(worker, signal.SIGKILL)


async def settled(caller: Caller, seconds: float = 20.0) -> None:
    """Wait until no claim is left running."""
    deadline = time.monotonic() + seconds
    while any(state == "running" for state, _ in await caller.stored()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def repeat(caller: Caller, target: str, key: str, seconds: float = 30.0) -> WireAnswer:
    """The first whole answer that is neither 409 `still_running` nor 503, with which a new worker may begin."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, LookupError):
            answer = await caller.outcome(target, key, b"1", seconds)
            if answer.whole and answer.status != 503:
                return answer
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


CHUNKED_END = b"3\r\ntwo\r\n0\r\n\r\n"


@pytest.mark.parametrize("policy", ["success", "response"])
@pytest.mark.parametrize("point", ["before the answer", "in the answer"])
async def test_killed_before_its_end(mortal: Shop, policy: str, point: str) -> None:
    caller = await new_caller(mortal)
    first = b"" if point == "before the answer" else STREAMED
    seen: list[int] = []

    def answer(record: object) -> bytes:
        seen.append(1)
        return first if len(seen) == 1 else WHOLE

    target, key = scripted(caller, "killed", Script(answer, delay_ms=60_000), policy), caller.new_key()
    async with await RawClient.connect(mortal.gateway.address) as client:
        await client.send(caller.raw(target, key, b"1"))
        await until(lambda: seen, what="the request")
        if first:
            assert await client.until(lambda: b"one" in client.received, 10)
        kill_workers(mortal.gateway)
        assert await client.ended(10)
    again = await repeat(caller, target, key)
    charged = policy == "response" and first
    if charged:
        assert (again.status, code(again), len(seen)) == (409, "outcome_not_kept", 1)
    else:
        assert (again.status, again.body, len(seen)) == (201, b"m\x00\xffe", 2)
    rest = await caller.at_rest()
    assert rest["usage"] == PRICE
    assert await caller.stored() == [("done", 200 if charged else 201)]


async def test_killed_behind_its_answer(mortal: Shop) -> None:
    caller = await new_caller(mortal)
    target, key = scripted(caller, "killed", Script(WHOLE)), caller.new_key()
    first = await caller.write(target, key, b"1")
    kill_workers(mortal.gateway)
    again = await repeat(caller, target, key)
    assert (again.status, again.body) == (201, first.body)
    assert again.values("idempotency-replayed") == ["true"]
    assert len(caller.executed(target)) == 1
    assert (await caller.at_rest())["usage"] == PRICE


async def test_stopped_in_order_while_it_goes_on_alone(mortal: Shop) -> None:
    caller = await new_caller(mortal)
    target = scripted(caller, "alone", Script(b"", delay_ms=700, late=WHOLE))
    key = caller.new_key()
    async with await RawClient.connect(mortal.gateway.address) as client:
        await client.send(caller.raw(target, key, b"1"))
        await until(lambda: [one for one in caller.executed(target) if one.state == "whole"], what="the request")
        await client.reset()
    assert await mortal.gateway.stop() == 0
    assert await caller.stored() == [("done", 201)]
    await mortal.gateway.start()
    again = await repeat(caller, target, key)
    assert (again.status, again.body, again.values("idempotency-replayed")) == (201, b"m\x00\xffe", ["true"])
    assert len(caller.executed(target)) == 1
    assert (await caller.at_rest())["usage"] == PRICE


async def test_killed_again_and_again_under_load(mortal: Shop) -> None:
    """Callers that repeat each request until it is answered: none is charged twice, none is charged and lost."""
    caller = await new_caller(mortal, 1_000 * CREDITS)
    ends: dict[str, int] = {}
    stop = asyncio.Event()

    async def buy(number: int) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            target, key = f"/success/buy-{number}-{turn}", f"{number}-{turn}"
            ends[target] = (await repeat(caller, target, key)).status

    callers = [asyncio.create_task(buy(number)) for number in range(6)]
    for _ in range(3):
        before = len(ends)
        await until(lambda before=before: len(ends) > before + 20, 30, "more answers")
        kill_workers(mortal.gateway)
    stop.set()
    await asyncio.gather(*callers)
    await settled(caller)
    rest = await caller.at_rest(30)
    await caller.ended(len(ends))
    assert set(ends.values()) <= {200, 409}
    charged = await mortal.pool.fetch("select path, sum(cost_micro)::bigint as cost from request_log group by path")
    costs = {row["path"]: row["cost"] for row in charged}
    assert all(costs[target] == PRICE for target in ends)
    assert rest["usage"] == PRICE * len(ends)
    runs = {target: len(caller.executed(target)) for target in ends}
    assert all(runs[target] >= 1 for target in ends)
    assert all(runs[target] == 1 for target, status in ends.items() if status == 409)
