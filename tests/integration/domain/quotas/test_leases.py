"""Limiters as workers are: what they hold, give back, lose and find again. Real servers, real books."""

import asyncio
import sys
import time
from pathlib import Path
from uuid import uuid4

from domain.quotas.limiter import Limiter, Verdict
from domain.snapshots import LimitSnapshot, PlanSnapshot
from tests.deadlines import until
from tests.limits import consume
from tests.snapshots import key, limit, plan
from tests.valkeys import own_valkey

ROOT = Path(__file__).resolve().parents[4]


def held(limiter: Limiter) -> int:
    """Permits that a worker has and has not spent."""
    return sum(a.left for account in limiter._accounts.values() for a in account.allowances.values())


async def drain(limiters: list[Limiter], caller, sold) -> int:
    """Ask all of them in turn until each has refused three times in a row; how many were admitted."""
    admitted = 0
    refused = dict.fromkeys(limiters, 0)
    deadline = time.monotonic() + 20
    while min(refused.values()) < 3 and time.monotonic() < deadline:
        for limiter in limiters:
            verdict = await consume(limiter, caller, sold)
            admitted += verdict.allowed
            refused[limiter] = 0 if verdict.allowed else refused[limiter] + 1
    return admitted


async def test_a_warm_request_is_decided_without_waiting(workers):
    (limiter,) = await workers(1)
    caller, sold = key(), plan(limit("second", 10_000), limit("hour", 10_000))
    for _ in range(2):
        await consume(limiter, caller, sold)
    calls = limiter.status().calls
    verdicts = [limiter.consume(caller, sold) for _ in range(5)]
    assert all(isinstance(verdict, Verdict) and verdict.allowed for verdict in verdicts)
    assert limiter.status().calls == calls


async def test_what_others_hold_is_recalled_when_one_runs_dry(workers):
    limiters = await workers(4)
    caller, sold = key(), plan(limit("day", 300))
    for limiter in limiters:
        for _ in range(3):
            await consume(limiter, caller, sold)
    assert sum(held(limiter) for limiter in limiters) > 0
    assert 12 + await drain(limiters[:1], caller, sold) == 300


async def test_idle_permits_go_back(workers):
    one, other = await workers(2)
    caller, sold = key(), plan(limit("hour", 40))
    for _ in range(3):
        await consume(one, caller, sold)
    assert held(one) > 0
    await until(lambda: held(one) == 0, what="the return of idle permits")
    assert (await other.peek(caller, sold))[0].used == 3


async def test_a_worker_that_stops_returns_everything(workers):
    one, other = await workers(2)
    caller, sold = key(), plan(limit("hour", 40))
    for _ in range(3):
        await consume(one, caller, sold)
    await one.stop()
    assert (await other.peek(caller, sold))[0].used == 3


async def test_permits_of_a_killed_worker_come_back_by_its_book(workers, redis_url, tmp_path):
    caller = key()
    ids = [str(caller.organization_id), str(uuid4()), str(uuid4())]
    command = [sys.executable, "-m", "tests.integration.domain.quotas.hold", redis_url, *ids, "100", str(tmp_path)]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    spent, unspent = map(int, (await process.stdout.readline()).split())
    assert unspent > 0
    process.kill()
    await process.wait()
    limits = (LimitSnapshot(_uuid(ids[2]), "month", 100, "month", "organization", shadow=False),)
    sold = PlanSnapshot(_uuid(ids[1]), "p", "P", 1, limits)
    (limiter,) = await workers(1, books=tmp_path)
    await until(lambda: limiter.status().books_settled == 1, what="the dead worker's book")
    assert spent + await drain([limiter], caller, sold) == 100


def _uuid(text: str):
    return type(uuid4())(text)


async def test_slots_are_held_while_requests_are_in_progress_and_no_longer(workers):
    one, other = await workers(2)
    caller, sold = key(), plan(limit("concurrent", 3, name="at a time"))
    buckets = [limiter.bucket(caller, sold) for limiter in (one, other)]
    for limiter, bucket in zip((one, other, one), (buckets[0], buckets[1], buckets[0]), strict=True):
        assert bucket.take() or (await limiter.wait(bucket)).allowed
    refused = await consume(other, caller, sold)
    assert (refused.allowed, refused.violated, refused.retry_after_seconds) == (False, ("at a time",), 1)
    buckets[0].done()
    deadline = time.monotonic() + 5
    while not (await consume(other, caller, sold)).allowed:
        assert time.monotonic() < deadline, "the slot did not come back"
        await asyncio.sleep(0.02)


async def test_what_a_later_step_refused_was_never_taken(workers):
    (limiter,) = await workers(1)
    caller, sold = (
        key(),
        plan(limit("hour", 5), limit("second", 5), limit("concurrent", 2), limit("day", 9, shadow=True)),
    )
    bucket = limiter.bucket(caller, sold)
    for _ in range(20):
        assert bucket.take() or (await limiter.wait(bucket)).allowed
        bucket.give_back()
    assert [state.used for state in bucket.states()] == [0, 0, 0, 0]


async def test_limits_of_an_operation_count_that_operation_only(workers):
    (limiter,) = await workers(1)
    service, operation = uuid4(), uuid4()
    narrow = LimitSnapshot(uuid4(), "dear", 1, "hour", "organization", shadow=False, operation_id=operation)
    caller, sold = key(), plan(limit("hour", 10), narrow)
    verdicts = []
    for asked in (operation, operation, None, uuid4()):
        pending = limiter.consume(caller, sold, service, asked)
        verdicts.append(pending if isinstance(pending, Verdict) else await pending)
    assert [verdict.allowed for verdict in verdicts] == [True, False, True, True]
    assert [len(verdict.windows) for verdict in verdicts] == [2, 2, 1, 1]


async def test_a_wiped_server_is_refilled_from_the_rollups(workers):
    with own_valkey() as server:
        admitted = 0

        async def used(*_about) -> int:
            return admitted

        limiters = await workers(2, url=server.url, used=used)
        caller, sold = key(), plan(limit("day", 50), limit("month", 1_000))
        for _ in range(2):
            for limiter in limiters:
                for _ in range(5):
                    admitted += (await consume(limiter, caller, sold)).allowed
            server.command("FLUSHALL")
        assert admitted == 20
        assert admitted + await drain(limiters, caller, sold) == 50


async def test_a_wiped_server_whose_rollups_cannot_be_read_starts_from_what_the_workers_know(workers):
    with own_valkey() as server:

        async def used(*_about) -> None:
            return None

        (limiter,) = await workers(1, url=server.url, used=used)
        caller, sold = key(), plan(limit("day", 50))
        for _ in range(10):
            assert (await consume(limiter, caller, sold)).allowed
        server.command("FLUSHALL")
        assert 10 + await drain([limiter], caller, sold) == 50
        assert limiter.status().refills_unread > 0


async def test_what_was_admitted_without_redis_is_charged_when_it_is_back(workers):
    with own_valkey() as server:
        (limiter,) = await workers(1, url=server.url)
        limiter._budget = limiter._traffic._budget = 0.05
        caller, sold = key(), plan(limit("day", 50))
        assert (await consume(limiter, caller, sold)).allowed
        server.freeze()
        verdicts = [await consume(limiter, caller, sold) for _ in range(10)]
        assert {verdict.source for verdict in verdicts} == {"local"}
        server.thaw()
        await until(lambda: limiter.status().redis_ok)
        assert 11 + await drain([limiter], caller, sold) == 50


async def test_quiet_allowances_are_forgotten_and_their_buckets_go_on(workers, tmp_path):
    (limiter,) = await workers(1, books=tmp_path)
    caller, sold = key(), plan(limit("hour", 10))
    bucket = limiter.bucket(caller, sold)
    assert bucket.take() or (await limiter.wait(bucket)).allowed
    (allowance,) = bucket.allowances
    await until(lambda: not allowance.outstanding and not allowance.wheeled)
    limiter.upkeep._forget(allowance)
    assert (bucket.retired, limiter._accounts, limiter.upkeep.count) == (True, {}, 0)
    assert not bucket.take()
    assert (await limiter.wait(bucket)).allowed
    assert bucket.states()[0].used == 2


async def test_what_others_hold_and_have_not_spent_is_no_usage(workers):
    one, other = await workers(2)
    caller, sold = key(), plan(limit("hour", 1_000), limit("concurrent", 50))
    for _ in range(60):
        await consume(one, caller, sold)
        one.bucket(caller, sold).done()
    assert held(one) > 0
    hour, cap = await other.peek(caller, sold)
    assert (hour.used, hour.remaining) == (60, 940)
    assert cap.used == 0
