"""Who is reminded of what: once for each end, in the right words, and only those who look after it."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain import organizations, plans
from domain.limit_texts import parse_limits
from domain.mail_texts import render
from domain.outbox import values_of
from domain.reminders import remind_due

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
AHEAD = timedelta(days=3)


async def customer(pool, *, price: int = 4_900, **changes) -> UUID:
    """An organization whose subscription is like that; days are counted from NOW."""
    slug = f"t{uuid4().hex[:12]}"
    async with pool.acquire() as connection:
        await plans.create(connection, slug=slug, limits=parse_limits(["1/hour"]), price_cents=price, name="Pro")
        made = await organizations.create(connection, name="Acme", plan_slug=slug)
    values = {"state": "active", "period_end": 2, "trial_ends_at": None, "cancel_at": None, "grace_until": None}
    values |= changes
    days = {
        name: value if value is None else NOW + timedelta(days=value)
        for name, value in values.items()
        if name != "state"
    }
    await pool.execute(
        "update subscription set state = $2, period_start = $3, period_end = $4, trial_ends_at = $5, cancel_at = $6,"
        " grace_until = $7"
        " where organization_id = $1",
        made.id,
        values["state"],
        NOW - timedelta(days=20),
        days["period_end"],
        days["trial_ends_at"],
        days["cancel_at"],
        days["grace_until"],
    )
    for role, verified in (("owner", True), ("billing", True), ("developer", True), ("owner", False)):
        email = f"{role}-{verified}-{slug}@example.com".lower()
        user_id = await pool.fetchval(
            "insert into users (username, password, email, first_name, last_name, active, admin, superuser,"
            " email_verified_at) values ($1, 'x', $1, '', '', true, false, false, $2) returning id",
            email,
            NOW if verified else None,
        )
        await pool.execute(
            "insert into membership (organization_id, user_id, role) values ($1, $2, $3)", made.id, user_id, role
        )
    return made.id


async def remind(pool, settings, now: datetime = NOW):
    async with pool.acquire() as connection:
        return await remind_due(connection, settings.secrets, "https://app.example", now, AHEAD)


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({}, "period_ending", "The next one begins at once, on the plan Pro."),
        ({"price": 0}, None, ""),
        ({"period_end": 4}, None, ""),
        ({"period_end": -1}, None, ""),
        ({"state": "trialing", "trial_ends_at": 2}, "trial_ending", "unless you choose a plan"),
        ({"state": "trialing", "trial_ends_at": 2, "price": 0}, "trial_followed", "its API keys go on working"),
        ({"state": "past_due"}, None, ""),
        (
            {"state": "past_due", "period_end": -1},
            "grace_ending",
            "is not paid. Its API keys go on working until 12 June 2026",
        ),
        ({"state": "past_due", "grace_until": 1}, "grace_ending", "are refused from then on if it is not paid by then"),
        ({"state": "past_due", "grace_until": 2, "cancel_at": 1}, "subscription_ending", "ends on 11 June 2026"),
        ({"state": "past_due", "grace_until": -1}, None, ""),
        ({"cancel_at": 1}, "subscription_ending", "was cancelled and ends on 11 June 2026"),
        ({"cancel_at": 2, "price": 0}, "subscription_ending", "Until then you can take it back"),
    ],
)
async def test_an_end_that_comes_is_told_to_owners_and_who_pays(own_pool, settings, changes, kind, words):
    organization_id = await customer(own_pool, **changes)
    told = await remind(own_pool, settings)
    assert [one.kind for one in told] == ([kind] if kind else [])
    mails = await own_pool.fetch("select * from outbox_message order by recipient")
    if kind is None:
        assert mails == []
        return
    assert [mail["recipient"].split("-")[:2] for mail in mails] == [["billing", "true"], ["owner", "true"]]
    values = values_of(settings.secrets, mails[0]["id"], mails[0]["content"])
    text = render(kind, {"product": "Gate", "base_url": "https://app.example", **values})
    assert words in text.text
    slug = await own_pool.fetchval("select slug from organization where id = $1", organization_id)
    assert f"https://app.example/o/{slug}/subscription" in text.text
    assert told[0].organization_id == organization_id
    assert await remind(own_pool, settings) == []
    assert await own_pool.fetchval("select count(*) from outbox_message") == 2


async def test_an_end_that_is_moved_is_told_again(own_pool, settings):
    organization_id = await customer(own_pool, state="trialing", trial_ends_at=2)
    assert len(await remind(own_pool, settings)) == 1
    later = NOW + timedelta(days=7)
    await own_pool.execute(
        "update subscription set trial_ends_at = $2, period_end = $2 where organization_id = $1", organization_id, later
    )
    assert await remind(own_pool, settings) == []
    assert len(await remind(own_pool, settings, NOW + timedelta(days=5))) == 1


async def test_two_at_once_tell_it_once(own_pool, settings):
    for _ in range(5):
        await customer(own_pool)
    told = await asyncio.gather(*(remind(own_pool, settings) for _ in range(4)))
    assert sum(map(len, told)) == 5
    assert await own_pool.fetchval("select count(*) from outbox_message") == 10


async def test_a_closed_organization_is_told_nothing(own_pool, settings):
    organization_id = await customer(own_pool)
    await own_pool.execute("update organization set state = 'closed' where id = $1", organization_id)
    assert await remind(own_pool, settings) == []
