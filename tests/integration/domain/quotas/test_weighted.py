"""Limiters with weights: quotas in units and spend caps in micro-credits, what goes back, what a lost or slow server means."""

import asyncio
import time
from dataclasses import replace
from uuid import uuid4

import pytest

from domain.quotas.costs import Cost
from domain.quotas.limiter import Limiter, Verdict
from domain.quotas.weighted import WeightedBucket
from domain.spend_caps import cap_limits
from tests.deadlines import until
from tests.snapshots import key, limit, plan
from tests.valkeys import own_valkey


def quota(period: str, amount: int, **changes):
    return replace(limit(period, amount, name=f"{period}-quota"), unit="quota", **changes)


def customer(*caps, **changes):
    """On quotas, with spend caps of the organization's day and period, then of the key's."""
    day, month, key_day, key_month = (*caps, None, None, None, None)[:4]
    return replace(key(), billing_mode="quota", spend_caps=cap_limits(day, month, key_day, key_month), **changes)


async def ask(limiter: Limiter, caller, sold, cost: Cost) -> Verdict:
    pending = limiter.consume(caller, sold, cost=cost)
    return pending if isinstance(pending, Verdict) else await pending


async def drain(limiters: list[Limiter], caller, sold, cost: Cost) -> int:
    """Ask in turn until each has refused three times in a row; how many were admitted."""
    admitted, refused, deadline = 0, dict.fromkeys(limiters, 0), time.monotonic() + 20
    while min(refused.values()) < 3:
        assert time.monotonic() < deadline
        for limiter in limiters:
            allowed = (await ask(limiter, caller, sold, cost)).allowed
            admitted += allowed
            refused[limiter] = 0 if allowed else refused[limiter] + 1
    return admitted


async def test_all_or_nothing_over_windows_of_different_weight(workers):
    (limiter,) = await workers(1)
    caller, sold = customer(), plan(quota("month", 10), limit("hour", 4))
    assert await drain([limiter], caller, sold, Cost(4)) == 2
    assert [state.used for state in await limiter.peek(caller, sold)] == [8, 2]
    assert await drain([limiter], caller, sold, Cost(0)) == 2
    verdict = await ask(limiter, caller, sold, Cost(1))
    assert verdict.violated == ("hour",)
    assert [state.used for state in await limiter.peek(caller, sold)] == [8, 4]


async def test_a_dear_operation_that_is_refused_does_not_shut_out_cheap_ones(workers):
    limiters = await workers(3)
    caller, sold = customer(), plan(quota("month", 100))
    assert await drain(limiters, caller, sold, Cost(30)) == 3
    assert await drain(limiters, caller, sold, Cost(7)) == 1
    assert await drain(limiters, caller, sold, Cost(2)) == 1
    assert await drain(limiters, caller, sold, Cost(1)) == 1
    assert (await limiters[0].peek(caller, sold))[0].remaining == 0


async def test_a_refused_dear_operation_costs_no_call_while_nothing_changes(workers):
    (limiter,) = await workers(1)
    caller, sold = customer(), plan(quota("month", 10))
    assert await drain([limiter], caller, sold, Cost(4)) == 2
    calls = limiter.status().calls
    verdicts = [await ask(limiter, caller, sold, Cost(4)) for _ in range(50)]
    assert not any(verdict.allowed for verdict in verdicts)
    assert limiter.status().calls - calls <= 1 + 2 * 50 * 0.02
    assert verdicts[-1].retry_after_seconds > 1


async def test_more_than_the_amount_asks_nobody(workers):
    (limiter,) = await workers(1)
    caller, sold = customer(), plan(quota("day", 10))
    verdict = limiter.consume(caller, sold, cost=Cost(11))
    assert isinstance(verdict, Verdict)
    assert (verdict.allowed, verdict.violated) == (False, ("day-quota",))
    assert 1 <= verdict.retry_after_seconds <= 86_400
    assert limiter.status().calls == 0


async def test_large_weights_are_leased_ahead(workers):
    (limiter,) = await workers(1)
    caller, sold = customer(10**15), plan(limit("hour", 10**12))
    bucket = limiter.bucket(caller, sold, cost=Cost(0, 100_000))
    waited = 0
    for _ in range(2_000):
        if not bucket.take():
            waited += 1
            assert (await limiter.wait(bucket)).allowed
        bucket.done()
    assert waited < 40
    assert (await limiter.peek(caller, sold))[1].used == 2_000 * 100_000


async def test_what_was_not_charged_goes_back_to_spend_caps_and_to_nothing_else(workers):
    one, other = await workers(2)
    caller, sold = customer(1_000, None, None, 600), plan(quota("month", 100), limit("hour", 100))
    bucket = one.bucket(caller, sold, cost=Cost(2, 100))
    assert isinstance(bucket, WeightedBucket)
    for charged in (0, 100, 30, 250):
        verdict = None if bucket.take() else await one.wait(bucket)
        bucket.uncharge(bucket.taken_at if verdict is None else verdict.taken_at, charged)
        bucket.done()
    month, hour, organization, own = await other.peek(caller, sold)
    assert (month.used, hour.used) == (8, 4)
    # 0, 100, 30, and never more than was taken.
    assert (organization.used, own.used) == (230, 230)


async def test_the_first_request_of_a_worker_goes_back_too(workers):
    (limiter,) = await workers(1)
    caller, sold = customer(1_000), plan(limit("hour", 100))
    bucket = limiter.bucket(caller, sold, cost=Cost(0, 1_000))
    for _ in range(5):
        verdict = None if bucket.take() else await limiter.wait(bucket)
        assert verdict is None or verdict.allowed
        bucket.uncharge(bucket.taken_at if verdict is None else verdict.taken_at)
        bucket.done()


async def test_a_cap_is_not_forgotten_while_a_request_may_give_back(workers):
    (limiter,) = await workers(1)
    caller, sold = customer(1_000), plan(limit("hour", 100))
    bucket = limiter.bucket(caller, sold, cost=Cost(0, 400))
    verdict = await limiter.wait(bucket)
    cap = bucket.allowances[1]
    await until(lambda: not cap.outstanding and not cap.wheeled)
    limiter.upkeep._forget(cap)
    assert not cap.retired
    bucket.uncharge(verdict.taken_at)
    bucket.done()
    assert (await limiter.peek(caller, sold))[1].used == 0


async def test_a_lowered_amount_leaves_nothing_of_what_was_held(workers):
    (limiter,) = await workers(1)
    sold, caller = plan(limit("hour", 10**6)), customer(1_000_000)
    bucket = limiter.bucket(caller, sold, cost=Cost(0, 1_000))
    for _ in range(20):
        assert bucket.take() or (await limiter.wait(bucket)).allowed
    assert bucket.allowances[1].left > 1_000
    lowered = replace(caller, spend_caps=cap_limits(20_500, None, None, None))
    assert not (await ask(limiter, lowered, sold, Cost(0, 1_000))).allowed
    assert (await ask(limiter, lowered, sold, Cost(0, 500))).allowed
    assert (await limiter.peek(lowered, sold))[1].remaining == 0
    raised = replace(caller, spend_caps=cap_limits(22_000, None, None, None))
    assert await drain([limiter], raised, sold, Cost(0, 500)) == 3


async def test_a_cap_that_is_set_counts_what_was_charged_before(workers):
    asked = []

    async def used(question) -> int:
        asked.append(question)
        return 700 if question.unit == "credits" else 0

    limiters = await workers(2, used=used)
    caller, sold = customer(), plan(limit("day", 1_000))
    for limiter in limiters:
        assert (await ask(limiter, caller, sold, Cost(0, 100))).allowed
    capped = replace(caller, spend_caps=cap_limits(1_000, None, None, None))
    assert await drain(limiters, capped, sold, Cost(0, 100)) == 3
    (cap,) = [question for question in asked if question.unit == "credits"][:1]
    assert (cap.organization_id, cap.key_id, cap.since.hour, cap.since.minute) == (caller.organization_id, None, 0, 0)
    own = replace(caller, spend_caps=cap_limits(None, None, 900, None))
    assert await drain(limiters, own, sold, Cost(0, 100)) == 2
    assert asked[-1].key_id == caller.id


async def test_a_checked_cap_is_not_counted_twice(workers):
    spent = 0

    async def used(question) -> int:
        return spent if question.unit == "credits" else 0

    one, other = await workers(2, used=used)
    caller, sold = customer(1_000), plan(limit("day", 1_000))
    for _ in range(5):
        assert (await ask(one, caller, sold, Cost(0, 100))).allowed
    # Now the rollups have it too; a worker that is new to the cap reads them.
    spent = 500
    assert (await ask(other, caller, sold, Cost(0, 100))).allowed
    assert (await other.peek(caller, sold))[1].used == 600
    assert 600 + 100 * await drain([one, other], caller, sold, Cost(0, 100)) == 1_000


async def test_a_cap_that_is_used_up_is_so_while_the_rollups_are_slow(workers):
    slow = asyncio.Event()
    charged = 0

    async def used(question) -> int:
        if question.unit == "credits" and charged:
            await slow.wait()
        return charged if question.unit == "credits" else 0

    one, other, third = await workers(3, used=used)
    caller, sold = customer(1_000), plan(limit("day", 1_000))
    for _ in range(5):
        assert (await ask(one, caller, sold, Cost(0, 100))).allowed
    # What it held it has given back, as an idle worker does.
    one._tell_all()
    held = one.bucket(caller, sold, cost=Cost(0, 100)).allowances[1]
    await until(lambda: not held.lent and not held.left)
    charged = 700
    verdict = await ask(other, caller, sold, Cost(0, 600))
    assert (verdict.allowed, verdict.source) == (False, "redis")
    assert (await ask(other, caller, sold, Cost(0, 100))).allowed
    # When they are here at last, they say that more has been charged.
    slow.set()
    deadline = time.monotonic() + 10
    while (await third.peek(caller, sold))[1].used < 700:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert {limiter.status().decisions_local for limiter in (one, other)} == {0}
    assert await drain([one, other, third], caller, sold, Cost(0, 100)) == 3


async def test_a_wiped_server_is_refilled_with_units(workers):
    units = 0

    async def used(question) -> int:
        return units if question.unit == "quota" else 0

    with own_valkey() as server:
        limiters = await workers(2, url=server.url, used=used)
        caller, sold = customer(), plan(quota("day", 200))
        for _ in range(2):
            for limiter in limiters:
                for cost in (7, 1, 3):
                    units += cost * (await ask(limiter, caller, sold, Cost(cost))).allowed
            server.command("FLUSHALL")
        assert units == 44
        assert units + await drain(limiters, caller, sold, Cost(1)) == 200


async def test_what_is_admitted_while_the_rollups_are_slow_is_not_counted_twice(workers):
    ended = []

    async def used(question) -> int:
        await asyncio.sleep(0.15)
        return sum(units for at, units in ended if question.until is None or at < question.until.timestamp())

    (limiter,) = await workers(1, used=used)
    caller, sold = customer(), plan(quota("day", 50))
    for _ in range(8):
        assert (await ask(limiter, caller, sold, Cost(3))).allowed
        ended.append((time.time(), 3))
    assert limiter.status().decisions_local > 0
    assert 24 + await drain([limiter], caller, sold, Cost(1)) == 50


async def test_without_redis_a_worker_admits_its_share_in_units_and_owes_it(workers):
    with own_valkey() as server:
        limiter, _ = await workers(2, url=server.url)
        limiter._budget = limiter._traffic._budget = 0.05
        caller, sold = customer(), plan(quota("day", 50))
        assert (await ask(limiter, caller, sold, Cost(3))).allowed
        server.freeze()
        verdicts = [await ask(limiter, caller, sold, Cost(4)) for _ in range(20)]
        assert {verdict.source for verdict in verdicts} == {"local"}
        # Its share is 25 units: six requests of 4.
        assert sum(verdict.allowed for verdict in verdicts) == 6
        server.thaw()
        await until(lambda: limiter.status().redis_ok)
        assert 3 + 24 + await drain([limiter], caller, sold, Cost(1)) == 50


async def test_what_was_owed_and_not_charged_is_forgiven(workers):
    with own_valkey() as server:
        (limiter,) = await workers(1, url=server.url)
        limiter._budget = limiter._traffic._budget = 0.05
        caller, sold = customer(1_000), plan(limit("hour", 1_000))
        assert (await ask(limiter, caller, sold, Cost(0, 100))).allowed
        server.freeze()
        bucket = limiter.bucket(caller, sold, cost=Cost(0, 100))
        for charged in (0, 100, 0, 100):
            verdict = limiter.decide(bucket) or await limiter.wait(bucket)
            assert verdict.allowed
            bucket.uncharge(verdict.taken_at, charged)
            bucket.done()
        server.thaw()
        await until(lambda: limiter.status().redis_ok)
        assert (await limiter.peek(caller, sold))[1].used == 300


async def test_a_shadow_quota_counts_units_and_refuses_nothing(workers):
    one, other = await workers(2)
    caller, sold = customer(), plan(quota("month", 10, shadow=True), limit("hour", 100))
    verdicts = [await ask(one, caller, sold, Cost(4)) for _ in range(4)]
    assert all(verdict.allowed for verdict in verdicts)
    assert [bool(verdict.shadow_violated) for verdict in verdicts] == [False, False, True, True]
    deadline = time.monotonic() + 10
    while (await other.peek(caller, sold))[0].used != 16:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("narrow", [False, True])
async def test_buckets_by_what_a_request_takes(workers, narrow):
    (limiter,) = await workers(1)
    caller, other = customer(1_000), replace(key(), billing_mode="credits")
    service, operation = uuid4(), uuid4()
    limits = (limit("hour", 9), quota("month", 9))
    sold = plan(*(replace(one, service_id=service) for one in limits)) if narrow else plan(*limits)
    dear = limiter.bucket(caller, sold, service, operation, Cost(4), Cost(0, 50))
    assert dear is limiter.bucket(caller, sold, service, operation, Cost(4), Cost(0, 50))
    assert dear is not limiter.bucket(caller, sold, service, operation, Cost(5), Cost(0, 50))
    assert dear.beyond is not None
    assert [(li.unit, w) for li, w in zip(dear.limits, dear.weights, strict=True)] == [("requests", 1), ("quota", 4)]
    assert dear.beyond.weights == (1, 0, 50)
    assert dear.allowances == dear.beyond.allowances[:2]
    # Who pays with credits and has no caps has one bucket for everything, as fast as ever.
    plain = limiter.bucket(other, sold, service, operation, Cost(0, 70))
    assert (type(plain).__name__, len(plain.limits)) == ("Bucket", 1)
    assert (plain is limiter.bucket(other, sold, service, uuid4(), Cost(0, 90))) is not narrow
