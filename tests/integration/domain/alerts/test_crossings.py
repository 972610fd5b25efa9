"""A crossing is told whole and once: by two that look at the same time, by one whose transaction was lost, after the state moved."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from domain import plans
from domain.alerts import looking
from domain.alerts.looking import look_at_organization
from domain.alerts.reading import open_alerts
from domain.limit_texts import parse_limits
from domain.spend_caps import set_organization_caps
from domain.subscriptions import change_plan
from tests.integration.domain.alerts.customers import customer, looker, now

MICRO = 1_000_000


async def test_of_many_that_look_at_once_one_tells(pool):
    acme = await customer(pool, "10/month")
    for requests in (5, 3, 2):
        await acme.used(pool, requests)
        told = await asyncio.gather(*(acme.look(pool) for _ in range(6)))
        assert sum(one.levels for one in told) == 1
        assert sum(one.mails for one in told) == 5
    assert await acme.told(pool) == [50, 80, 100]
    assert len(await acme.mails(pool)) == 15


async def test_what_was_lost_before_its_commit_is_told_whole_by_the_next(pool, monkeypatch):
    acme = await customer(pool, "10/month")
    await acme.used(pool, 8)

    async def told_and_lost(*arguments, **named):
        await tell(*arguments, **named)
        raise ConnectionResetError

    tell = looking.tell_customer
    monkeypatch.setattr(looking, "tell_customer", told_and_lost)
    with pytest.raises(ConnectionResetError):
        await acme.look(pool)
    assert (await acme.mails(pool), await acme.events(pool)) == ([], [])
    assert not await pool.fetchval("select exists (select from alert_state where organization_id = $1)", acme.id)
    monkeypatch.undo()
    assert (await acme.look(pool)).mails == 5
    assert await acme.told(pool) == [80]


async def test_who_is_suspended_while_it_is_told_is_told_nothing(pool):
    acme = await customer(pool, "1/month")
    await acme.used(pool, 1)
    async with pool.acquire() as operator, pool.acquire() as worker:
        transaction = operator.transaction()
        await transaction.start()
        await operator.execute("update organization set state = 'suspended' where id = $1", acme.id)
        look = asyncio.create_task(look_at_organization(worker, looker(), acme.id, now()))
        for _ in range(200):
            waits = await pool.fetchval(
                "select exists (select from pg_locks l where not granted and pid = $1)", worker.get_server_pid()
            )
            if waits:
                break
            await asyncio.sleep(0.02)
        assert waits, "it waits for who suspends"
        await transaction.commit()
        assert (await look).levels == 0
    assert (await acme.mails(pool), await acme.events(pool)) == ([], [])


async def test_what_stands_is_listed_until_its_window_is_over_or_it_was_left(pool):
    acme = await customer(pool, "10/month")
    await acme.used(pool, 8)
    await acme.look(pool)
    async with pool.acquire() as connection:
        (one,) = await open_alerts(connection, now(), organization_id=acme.id)
        assert (one.kind, one.organization, one.name, one.level, one.value, one.threshold) == (
            "usage", acme.slug, "month", 80, 8, 10,
        )  # fmt: skip
        assert one.period_ends is not None
        assert await open_alerts(connection, one.period_ends, organization_id=acme.id) == []
        assert await open_alerts(connection, now() + timedelta(days=1), organization_id=acme.id) == [one]
        await connection.execute("update organization set state = 'suspended' where id = $1", acme.id)
        assert await open_alerts(connection, now(), organization_id=acme.id) == []


async def test_what_stood_at_a_limit_or_a_cap_that_is_gone_is_over(pool):
    acme = await customer(pool, "10/month")
    await acme.used(pool, 10, cost_micro=MICRO)
    async with pool.acquire() as connection:
        await set_organization_caps(connection, acme.slug, {"day": 2 * MICRO, "month": None})
        await acme.look(pool)
        assert len(await open_alerts(connection, now(), organization_id=acme.id)) == 2
        await set_organization_caps(connection, acme.slug, {"day": None, "month": None})
        larger = f"b{uuid4().hex[:12]}"
        await plans.create(connection, slug=larger, limits=parse_limits(["1000/month"]), name="Larger")
        await change_plan(connection, acme.id, larger)
        assert (await acme.look(pool)).armed == 2
        assert await open_alerts(connection, now(), organization_id=acme.id) == []
    assert (await acme.look(pool)).armed == 0
