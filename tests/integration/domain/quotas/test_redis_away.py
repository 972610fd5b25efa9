"""G5, F4 to F7: whatever Redis does, a decision comes in time, from a bounded limit, and exactness returns by itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from domain.quotas.limiter import Limiter, Verdict
from domain.settings import RedisSettings
from tests.deadlines import until
from tests.limits import consume
from tests.snapshots import key, limit, plan
from tests.valkeys import OwnValkey, own_valkey

WORKERS, AMOUNT = 2, 10
SHARE = AMOUNT // WORKERS
BUDGET_SECONDS = 0.05
NOISE_SECONDS = 0.25
"""What a busy machine may add."""


@pytest.fixture
def server() -> Iterator[OwnValkey]:
    with own_valkey() as started:
        yield started


@pytest.fixture
async def limiter(server) -> AsyncIterator[Limiter]:
    made = Limiter(RedisSettings(url=server.url, timeout_ms=50), workers=WORKERS)
    await made.start()
    await until(lambda: made.status().redis_ok)
    yield made
    await made.stop()


async def decide(limiter, caller, sold) -> tuple[Verdict, float]:
    begun = time.monotonic()
    pending = limiter.consume(caller, sold)
    verdict = pending if isinstance(pending, Verdict) else await pending
    return verdict, time.monotonic() - begun


async def assert_bounded_until_away(limiter):
    """Exactly this worker's share is admitted, in time, and only the first request waits."""
    caller, sold = key(), plan(limit("day", AMOUNT))
    first, waited = await decide(limiter, caller, sold)
    assert first.source == "local"
    assert waited < BUDGET_SECONDS + NOISE_SECONDS
    rest = []
    for _ in range(20):
        pending = limiter.consume(caller, sold)
        assert isinstance(pending, Verdict), "Redis was asked again"
        rest.append(pending)
    assert sum(verdict.allowed for verdict in (first, *rest)) == SHARE
    assert rest[-1].violated == ("day",)
    assert not limiter.status().redis_ok
    assert limiter.status().fault


async def assert_exact_again(limiter):
    await until(lambda: limiter.status().redis_ok, what="the return to Redis")
    verdict, _ = await decide(limiter, key(), plan(limit("day", AMOUNT)))
    assert verdict.source == "redis"


async def test_hung(server, limiter):
    server.freeze()
    try:
        await assert_bounded_until_away(limiter)
        shown = await limiter.peek(key(), plan(limit("day", AMOUNT)))
        assert shown[0].remaining == SHARE
    finally:
        server.thaw()
    await assert_exact_again(limiter)


async def test_hung_under_load_costs_one_wait_for_all_that_are_under_way(server, limiter):
    server.freeze()
    try:
        caller, sold = key(), plan(limit("day", AMOUNT))
        begun = time.monotonic()
        verdicts = await asyncio.gather(*(consume(limiter, caller, sold) for _ in range(300)))
        assert time.monotonic() - begun < BUDGET_SECONDS + 2 * NOISE_SECONDS
        assert sum(verdict.allowed for verdict in verdicts) == SHARE
    finally:
        server.thaw()
    await assert_exact_again(limiter)


async def test_down_and_restarted(server, limiter):
    server.kill()
    await assert_bounded_until_away(limiter)
    server.start()
    await assert_exact_again(limiter)


async def test_full(server, limiter):
    server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    server.command("CONFIG", "SET", "maxmemory", "1")
    await assert_bounded_until_away(limiter)
    assert "OutOfMemory" in limiter.status().fault
    server.command("CONFIG", "SET", "maxmemory", "0")
    await assert_exact_again(limiter)


async def test_read_only(server, limiter):
    server.command("REPLICAOF", "127.0.0.1", "1")
    await assert_bounded_until_away(limiter)
    server.command("REPLICAOF", "NO", "ONE")
    await assert_exact_again(limiter)


async def test_away_at_the_start(server):
    server.kill()
    limiter = Limiter(RedisSettings(url=server.url, timeout_ms=50), workers=WORKERS)
    await limiter.start()
    assert not limiter.status().redis_ok
    server.start()
    await assert_exact_again(limiter)
    await limiter.stop()


async def test_coming_and_going_gives_out_no_second_share(server, limiter):
    caller, sold = key(), plan(limit("day", AMOUNT))
    admitted = 0
    for _ in range(3):
        server.freeze()
        for _ in range(SHARE + 2):
            verdict, _ = await decide(limiter, caller, sold)
            admitted += verdict.allowed
        server.thaw()
        await until(lambda: limiter.status().redis_ok)
    assert SHARE <= admitted <= AMOUNT


async def test_an_answer_that_lies_in_the_socket_counts_although_the_event_loop_was_late(server, limiter):
    pending = asyncio.ensure_future(consume(limiter, key(), plan(limit("day", AMOUNT))))
    while not limiter._traffic.client.connection_pool._in_use_connections:
        await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)
    time.sleep(4 * BUDGET_SECONDS)
    assert (await pending).source == "redis"
