import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from domain.quotas.limiter import Limiter, Verdict
from domain.settings import RedisSettings
from domain.snapshots import LimitSnapshot, PlanSnapshot
from tests.limits import consume
from tests.snapshots import key, limit, plan

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
async def limiter(redis_url) -> AsyncIterator[Limiter]:
    made = Limiter(RedisSettings(url=redis_url, timeout_ms=5_000), workers=2)
    await made.start()
    yield made
    await made.stop()


async def test_1000_concurrent_requests_of_four_processes_get_exactly_100_permits(redis_url):
    ids = [str(uuid4()) for _ in range(3)]
    command = [sys.executable, "-m", "tests.integration.domain.quotas.spend", redis_url, *ids, "100", "250"]
    processes = [
        await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE) for _ in range(4)
    ]
    outputs = [await process.communicate() for process in processes]
    assert sum(int(output) for output, _ in outputs) == 100


async def test_a_refused_request_consumes_nothing_in_any_window(limiter):
    caller = key()
    sold = plan(limit("day", 2), limit("month", 10), limit("hour", 1, shadow=True))
    verdicts = [await consume(limiter, caller, sold) for _ in range(6)]
    assert [verdict.allowed for verdict in verdicts] == [True, True, False, False, False, False]
    assert [window.used for window in verdicts[-1].windows] == [2, 2, 2]
    assert verdicts[-1].violated == ("day",)
    assert verdicts[-1].source == "redis"
    assert 0 < verdicts[-1].retry_after_seconds <= 86_400


async def test_a_shadow_limit_is_counted_and_reported_and_never_refuses(limiter):
    caller, sold = key(), plan(limit("month", 100), limit("day", 1, shadow=True))
    verdicts = [await consume(limiter, caller, sold) for _ in range(3)]
    assert all(verdict.allowed for verdict in verdicts)
    assert [verdict.shadow_violated for verdict in verdicts] == [(), ("day",), ("day",)]
    assert verdicts[-1].windows[1].used == 3
    assert limiter.status().shadow_refused == 2


async def test_a_limit_per_key_is_not_shared_and_one_per_organization_is(limiter):
    one = key()
    other = key(one.organization_id)
    sold = plan(limit("day", 1, scope="key"), limit("month", 2))
    assert [(await consume(limiter, caller, sold)).allowed for caller in (one, one, other)] == [True, False, True]
    assert (await consume(limiter, key(one.organization_id), sold)).violated == ("month",)


async def test_changing_a_limits_amount_keeps_its_count(limiter):
    caller, before = key(), plan(limit("month", 2))
    for _ in range(2):
        await consume(limiter, caller, before)
    old = before.limits[0]
    raised = LimitSnapshot(old.id, old.name, 3, old.period, old.scope, old.shadow)
    after = PlanSnapshot(before.id, before.slug, before.name, before.rank, (raised,))
    assert [(await consume(limiter, caller, after)).allowed for _ in range(2)] == [True, False]


async def test_looking_consumes_nothing_and_an_amount_below_the_count_leaves_nothing(limiter):
    caller, sold = key(), plan(limit("month", 5))
    await consume(limiter, caller, sold)
    assert [(await limiter.peek(caller, sold))[0].used for _ in range(3)] == [1, 1, 1]
    old = sold.limits[0]
    lowered = LimitSnapshot(old.id, old.name, 1, old.period, old.scope, old.shadow)
    shown = await limiter.peek(caller, PlanSnapshot(sold.id, sold.slug, sold.name, sold.rank, (lowered,)))
    assert shown[0].remaining == 0


async def test_a_plan_without_limits_is_decided_without_redis():
    never_started = Limiter(RedisSettings(), workers=1)
    verdict = never_started.consume(key(), plan())
    assert isinstance(verdict, Verdict)
    assert verdict.allowed
    assert await never_started.peek(key(), plan()) == []
    await never_started.stop()


async def test_a_server_that_has_lost_its_scripts_gets_them_again(limiter):
    caller, sold = key(), plan(limit("month", 5))
    await limiter._traffic.client.execute_command("SCRIPT", "FLUSH")
    assert [(await consume(limiter, caller, sold)).windows[0].used for _ in range(2)] == [1, 2]
    assert limiter.status().redis_failures == 0
