"""What a customer chose to be told of: its own levels and mark, what fails, what a day costs; once for each crossing."""

import asyncio
import json
from datetime import timedelta
from uuid import UUID

import pytest

from domain.access import access_organization
from domain.alerts import looking
from domain.alerts.choices import DEFAULT, AlertChoices, change_choice, fetch_choice
from domain.alerts.customers import next_organizations
from domain.alerts.reading import open_alerts
from domain.audit import Actor
from domain.credits.granting import grant
from domain.faults import Forbidden, InvalidValue, NotFound
from schema.credits import EntryType
from tests.integration.domain.alerts.customers import customer, now

MICRO = 1_000_000
HOUR = timedelta(hours=1)


async def choose(pool, acme, role="owner", **changes) -> AlertChoices:
    """As that member does."""
    async with pool.acquire() as connection, connection.transaction():
        access = await access_organization(connection, acme.users[role], acme.slug)
        actor = Actor("user", acme.users[role], f"{role}@example.com")
        return await change_choice(connection, access, actor, AlertChoices(**changes))


async def failed(pool, acme, count, at):
    await acme.used(pool, count, at, status=502, outcome="failed")


async def events(acme, pool):
    rows = await pool.fetch(
        "select type, (payload -> 'data')::text as data from webhook_event where organization_id = $1"
        " and type in ('usage.errors', 'usage.cost') order by created_at", acme.id
    )  # fmt: skip
    return [(row["type"], json.loads(row["data"])) for row in rows]


async def test_who_never_chose_is_told_as_ever_and_of_nothing_else(pool):
    acme, at = await customer(pool, "10/month"), now()
    async with pool.acquire() as connection:
        assert await fetch_choice(connection, acme.id) == DEFAULT
    await failed(pool, acme, 200, at)
    await acme.used(pool, 5, at, cost_micro=100 * MICRO)
    await acme.look(pool, at)
    assert await events(acme, pool) == []


async def test_levels_of_ones_own_are_told_in_the_place_of_the_usual_ones(pool):
    acme = await customer(pool, "20/month")
    await choose(pool, acme, usage_percents=(90, 60))
    await acme.used(pool, 11)
    assert (await acme.look(pool)).levels == 0, "55 % is no level any more"
    await acme.used(pool, 1)
    await acme.look(pool)
    await acme.used(pool, 6)
    await acme.look(pool)
    await acme.used(pool, 5)
    assert (await acme.look(pool)).levels == 0, "nor is 100 %"
    assert await acme.told(pool) == [60, 90]


async def test_who_wants_no_levels_is_not_told_and_what_stood_is_over(pool):
    acme = await customer(pool, "10/month")
    await acme.used(pool, 8)
    await acme.look(pool)
    await choose(pool, acme, usage_percents=())
    assert (await acme.look(pool)).armed == 1
    await acme.used(pool, 2)
    assert (await acme.look(pool)).levels == 0
    await choose(pool, acme)
    assert (await acme.look(pool)).levels == 1
    assert await acme.told(pool) == [80, 100]


async def test_a_mark_of_ones_own_stands_above_the_share_of_what_was_bought(pool):
    acme = await customer(pool)
    async with pool.acquire() as connection:
        await grant(connection, acme.id, amount_micro=100 * MICRO, reason="test", type=EntryType.PURCHASE)
    await choose(pool, acme, low_credits_micro=200 * MICRO)
    assert (await acme.look(pool)).levels == 1
    await choose(pool, acme, low_credits_micro=0)
    assert (await acme.look(pool)).armed == 1
    await pool.execute(
        "update credit_account set balance_micro = 1, usage_micro = usage_micro + balance_micro - 1 where organization_id = $1",
        acme.id,
    )
    assert (await acme.look(pool)).levels == 0, "0 is never"
    assert [data["threshold"] for _, data in await acme.events(pool)] == ["200"]


async def test_failures_are_told_once_with_their_share_until_they_are_over(pool):
    acme, at = await customer(pool), now()
    await choose(pool, acme, error_percent=20, error_requests=10)
    await failed(pool, acme, 2, at)
    await acme.used(pool, 5, at)
    await acme.used(pool, 30, at, status=429, outcome="refused", refusal=b"rate_limited")
    assert (await acme.look(pool, at)).levels == 0, "of 7 requests; what we refuse is no failure"
    await failed(pool, acme, 1, at)
    await acme.used(pool, 4, at)
    told = await acme.look(pool, at)
    assert (told.levels, told.mails) == (1, 5), "all members"
    assert (await acme.look(pool, at)).levels == 0
    assert await events(acme, pool) == [
        ("usage.errors", {"failed": 3, "requests": 12, "percent": "25", "threshold": "20"})
    ]
    mail = dict(await acme.mails(pool))["developer"]
    assert mail.subject == "25 % of the requests of Acme fail"
    assert "Of 12 requests that Acme made at Gate in this and the last hour, 3 were answered" in mail.text
    assert f"https://app.example/o/{acme.slug}/logs?status=5xx" in mail.text
    await acme.used(pool, 6, at)
    assert (await acme.look(pool, at)).armed == 0, "3 of 18 is more than three quarters of 20 %"
    await acme.used(pool, 6, at)
    assert (await acme.look(pool, at)).armed == 1, "3 of 24 is not"
    await failed(pool, acme, 5, at)
    await acme.look(pool, at)
    assert len(await events(acme, pool)) == 2


async def test_the_cost_of_a_day_is_told_once_a_day_to_who_pays(pool):
    acme = await customer(pool)
    today = now().replace(hour=0, minute=0, second=1)
    late, early = today - 2 * HOUR, today + timedelta(seconds=2)
    await choose(pool, acme, day_cost_micro=2 * MICRO)
    await acme.used(pool, 3, late, cost_micro=MICRO // 2)
    assert (await acme.look(pool, late)).levels == 0
    await acme.used(pool, 1, late, cost_micro=MICRO // 2, folded=False)
    told = await acme.look(pool, late)
    assert (told.levels, told.mails) == (1, 2), "what is not folded yet counts; owners and billing"
    assert (await acme.look(pool, late)).levels == 0
    assert (await acme.look(pool, early)).levels == 0
    await acme.used(pool, 5, early, cost_micro=MICRO // 2)
    assert (await acme.look(pool, early)).levels == 1
    assert [data for _, data in await events(acme, pool)] == [
        {"day": f"{late:%Y-%m-%d}", "spent": "2", "threshold": "2"},
        {"day": f"{early:%Y-%m-%d}", "spent": "2.5", "threshold": "2"},
    ]
    assert sorted({role for role, _ in await acme.mails(pool)}) == ["billing", "owner"]
    mail = (await acme.mails(pool))[0][1]
    assert mail.subject == "Acme has spent 2 credits today"
    assert "You wanted to know from 2 on. Nothing is refused because of this" in mail.text


async def test_what_is_wanted_no_more_is_over_and_nobody_is_looked_at_for_it(pool):
    acme, at = await customer(pool), now()
    await choose(pool, acme, error_percent=20, error_requests=10)
    await failed(pool, acme, 10, at)
    await acme.look(pool, at)
    async with pool.acquire() as connection:
        before = UUID(int=acme.id.int - 1)
        later = at + timedelta(days=3)
        assert await next_organizations(connection, before, later, 1) == [acme.id]
        (one,) = await open_alerts(connection, at, organization_id=acme.id)
        assert (one.kind, one.value, one.threshold, one.level) == ("usage_errors", 10, 10, 100)
        await choose(pool, acme)
        assert (await acme.look(pool, at)).armed == 1
        assert await open_alerts(connection, at, organization_id=acme.id) == []
        assert acme.id not in await next_organizations(connection, before, later, 1)


async def test_of_many_that_look_at_once_one_tells(pool):
    acme, at = await customer(pool), now()
    await choose(pool, acme, error_percent=20, error_requests=10, day_cost_micro=MICRO)
    await acme.used(pool, 10, at, status=502, outcome="failed", cost_micro=MICRO)
    told = await asyncio.gather(*(acme.look(pool, at) for _ in range(6)))
    assert sum(one.levels for one in told) == 2
    assert sum(one.mails for one in told) == 7
    assert sorted(kind for kind, _ in await events(acme, pool)) == ["usage.cost", "usage.errors"]


@pytest.mark.parametrize("survives", [0, 1])
async def test_what_was_lost_before_its_commit_is_told_whole_by_the_next(pool, monkeypatch, survives):
    acme, at = await customer(pool), now()
    await choose(pool, acme, error_percent=20, error_requests=10, day_cost_micro=MICRO)
    await acme.used(pool, 10, at, status=502, outcome="failed", cost_micro=MICRO)
    tell, left = looking.tell_customer, [survives]

    async def told_and_lost(*arguments, **named):
        mails = await tell(*arguments, **named)
        if not left[0]:
            raise ConnectionResetError
        left[0] -= 1
        return mails

    monkeypatch.setattr(looking, "tell_customer", told_and_lost)
    with pytest.raises(ConnectionResetError):
        await acme.look(pool, at)
    assert len(await events(acme, pool)) == survives
    monkeypatch.undo()
    assert (await acme.look(pool, at)).levels == 2 - survives
    assert len(await events(acme, pool)) == 2


async def test_choosing_is_for_who_may_and_written_down(pool):
    acme = await customer(pool)
    for role in ("developer", "viewer"):
        with pytest.raises(Forbidden):
            await choose(pool, acme, role, day_cost_micro=MICRO)
    await choose(pool, acme, "billing", usage_percents=(70,), day_cost_micro=MICRO)
    made = await choose(pool, acme, "admin", usage_percents=(100, 70), error_percent=5)
    async with pool.acquire() as connection:
        assert await fetch_choice(connection, acme.id) == made == AlertChoices((70, 100), None, None, 5, 100)
        rows = await connection.fetch(
            "select before, after from audit_entry where organization_id = $1 and verb = 'thresholds.change'"
            " order by created_at", acme.id
        )  # fmt: skip
    assert "50" in rows[0]["before"]
    assert '"day_cost_micro": 1000000' in rows[1]["before"]
    with pytest.raises(InvalidValue):
        await choose(pool, acme, usage_percents=(101,))


async def test_two_who_choose_at_once_leave_one_of_both_choices(pool):
    acme = await customer(pool)
    await asyncio.gather(*(choose(pool, acme, usage_percents=(each,), error_percent=each) for each in range(50, 58)))
    async with pool.acquire() as connection:
        found = await fetch_choice(connection, acme.id)
    assert (found.error_percent,) == found.usage_percents


async def test_a_closed_organization_chooses_nothing(pool):
    acme = await customer(pool)
    async with pool.acquire() as connection, connection.transaction():
        access = await access_organization(connection, acme.users["owner"], acme.slug)
        await connection.execute("update organization set state = 'closed' where id = $1", acme.id)
        with pytest.raises(NotFound):
            await change_choice(connection, access, Actor(), DEFAULT)
