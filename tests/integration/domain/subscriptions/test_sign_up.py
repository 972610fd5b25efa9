"""A new customer is made whole or not at all, and is given its bonus once."""

import asyncio

import pytest

from domain import organizations
from domain.credits.accounts import fetch_balance
from domain.credits.reconciling import reconcile
from domain.faults import Conflict, NotFound
from domain.sign_up import BONUS_KEY, give_bonus, sign_up
from tests.subscriptions import fresh

BONUS = 100_000_000


@pytest.fixture
async def user(connection):
    """The address of a user."""
    email = f"{fresh('ada')}@example.com"
    await connection.execute("insert into users (username, email, password) values ($1, $1, 'x')", email)
    return email


async def test_a_customer_has_a_plan_an_owner_and_a_bonus(connection, new_plan, user):
    plan = await new_plan()
    made = await sign_up(connection, name="Ada", email=user.upper(), plan_slug=plan.slug, bonus_micro=BONUS)
    assert (made.plan_slug, made.state) == (plan.slug, "active")
    assert (await fetch_balance(connection, made.id)).balance_micro == BONUS
    assert await connection.fetchval("select role from membership where organization_id = $1", made.id) == "owner"
    entry = await connection.fetchrow(
        "select type, idempotency_key from credit_entry where organization_id = $1", made.id
    )
    assert tuple(entry) == ("bonus", BONUS_KEY)


async def test_without_a_bonus_nothing_is_posted(connection, new_plan):
    made = await sign_up(connection, name="Ada", email=None, plan_slug=(await new_plan()).slug, bonus_micro=0)
    assert await connection.fetchval("select count(*) from credit_entry where organization_id = $1", made.id) == 0


@pytest.mark.parametrize("wrong", ["plan", "user", "slug"])
async def test_what_fails_leaves_nothing(connection, new_plan, user, wrong):
    plan, slug = await new_plan(), fresh("taken")
    values = {"name": "Ada", "email": user, "plan_slug": plan.slug, "slug": slug, "bonus_micro": BONUS}
    if wrong == "slug":
        await organizations.create(connection, name="Bob", plan_slug=plan.slug, slug=slug)
    wrongs = {"plan": {"plan_slug": "no-such-plan"}, "user": {"email": "nobody@example.com"}, "slug": {}}
    with pytest.raises((NotFound, Conflict)):
        await sign_up(connection, **(values | wrongs[wrong]))
    assert await connection.fetchval("select count(*) from organization where slug = $1", slug) == (wrong == "slug")


async def test_the_bonus_is_given_once_whatever_its_amount_becomes(pool, connection, new_plan):
    made = await organizations.create(connection, name="Ada", plan_slug=(await new_plan()).slug)

    async def give():
        async with pool.acquire() as own:
            await give_bonus(own, made.id, BONUS)

    await asyncio.gather(*(give() for _ in range(5)))
    await give_bonus(connection, made.id, 2 * BONUS)
    assert (await fetch_balance(connection, made.id)).balance_micro == BONUS
    assert made.id not in {drift.organization_id for drift in (await reconcile(connection)).drifts}
