"""Copy on write: what was sold stays as it is until the period ends; who comes later gets what is sold then."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from domain import operations, plans, services, subscriptions
from domain.faults import Conflict, InvalidValue, NotFound
from domain.limit_texts import parse_limits
from domain.plan_prices import parse_price, parse_quota_cost
from domain.plan_restoring import find_kept, restore_terms
from domain.plan_versions import terms_of
from domain.renewals import settle_due
from domain.subscription_reading import fetch_record
from domain.subscription_rows import fetch_subscription
from tests.subscriptions import fresh


@pytest.fixture
async def forecast(connection):
    """The operation `forecast` of a service of its own, at 1 credit."""
    slug = fresh("svc")
    await services.create(connection, slug=slug, prefix=f"/{slug}", upstreams=["http://127.0.0.1:8000"])
    return await operations.create(
        connection, service_slug=slug, method="GET", path_pattern="/f", name="forecast", price_micro=1_000_000
    )


async def terms(connection, customer):
    held = await fetch_subscription(connection, customer.id)
    return await terms_of(connection, held.plan_id, held.plan_version_id)


async def amounts(connection, customer):
    return [limit.amount for limit in (await terms(connection, customer)).limits]


async def versions(connection, plan):
    return await connection.fetchval("select count(*) from plan_version where plan_id = $1", plan.id)


async def test_an_edit_leaves_the_present_period_and_holds_for_new_customers(connection, new_plan, new_customer):
    plan = await new_plan("1000/hour")
    old = await new_customer(plan)
    before = await terms(connection, old)
    await plans.change(connection, plan.slug, limits=parse_limits(["10/hour"]))
    new = await new_customer(plan)
    assert await terms(connection, old) == before
    assert (await amounts(connection, old), await amounts(connection, new)) == ([1000], [10])
    assert (await fetch_record(connection, old.id)).plan_version == 1
    assert (await fetch_record(connection, new.id)).plan_version is None

    # A second edit pins those who came in between, and leaves the first as they are.
    await plans.change(connection, plan.slug, limits=parse_limits(["5/minute"]))
    assert (await amounts(connection, old), await amounts(connection, new)) == ([1000], [10])
    assert (await fetch_record(connection, new.id)).plan_version == 2

    # The next period follows the plan as it is then.
    ended = (await fetch_subscription(connection, old.id)).period_end
    await settle_due(connection, now=ended)
    assert await amounts(connection, old) == [5]
    assert (await fetch_record(connection, old.id)).plan_version is None


async def test_limits_keep_their_ids_in_what_was_sold(connection, new_plan, new_customer):
    plan = await new_plan("1000/hour", "5/second")
    customer = await new_customer(plan)
    rows = await connection.fetch("select id, name from plan_limit where plan_id = $1", plan.id)
    # One changes its amount and keeps its row, one is replaced under another period.
    await plans.change(connection, plan.slug, limits=parse_limits(["10/hour", "second=7/minute"]))
    assert {(limit.id, limit.name) for limit in (await terms(connection, customer)).limits} == {
        (row["id"], row["name"]) for row in rows
    }


async def test_an_edit_that_changes_nothing_sold_pins_nobody(connection, new_plan, new_customer):
    plan = await new_plan("1000/hour")
    customer = await new_customer(plan)
    await plans.change(connection, plan.slug, limits=parse_limits(["1000/hour"]), overage="block")
    await plans.change(connection, plan.slug, name="Other", description="x", public=False, active=False, sort_order=3)
    assert await versions(connection, plan) == 0
    assert (await fetch_record(connection, customer.id)).plan_version is None


async def test_a_plan_that_nobody_is_on_has_no_versions(connection, new_plan, new_customer):
    plan = await new_plan("1000/hour")
    gone = await new_customer(plan)
    await subscriptions.cancel(connection, gone.id, at_once=True)
    await plans.change(connection, plan.slug, limits=parse_limits(["10/hour"]))
    assert await versions(connection, plan) == 0


async def test_the_same_terms_are_written_once(connection, new_plan, new_customer):
    plan = await new_plan("1000/hour")
    customers = []
    for _ in range(2):
        customers.append(await new_customer(plan))
        await plans.change(connection, plan.slug, limits=parse_limits(["10/hour"]))
        await plans.change(connection, plan.slug, limits=parse_limits(["1000/hour"]))
    assert await versions(connection, plan) == 1
    assert [(await fetch_record(connection, one.id)).plan_version for one in customers] == [1, 1]


@pytest.mark.parametrize(
    "edit",
    [{"overage": "credits"}, {"price_cents": 5}, {"trial_days": 9}, {"trial_calls": 9}, {"grace_days": 9}],
    ids=lambda edit: next(iter(edit)),
)
async def test_every_term_is_kept(connection, new_plan, new_customer, edit):
    plan = await new_plan()
    customer = await new_customer(plan)
    before = await terms(connection, customer)
    await plans.change(connection, plan.slug, **edit)
    assert await terms(connection, customer) == before
    ((name, value),) = edit.items()
    assert getattr(await terms(connection, await new_customer(plan)), name) == value


async def test_now_is_for_everybody_also_for_the_pinned(connection, new_plan, new_customer):
    plan = await new_plan("1000/hour")
    first = await new_customer(plan)
    await plans.change(connection, plan.slug, limits=parse_limits(["100/hour"]))
    second = await new_customer(plan)
    await plans.change(connection, plan.slug, limits=parse_limits(["10/hour"]), at_once=True)
    assert [await amounts(connection, one) for one in (first, second)] == [[10], [10]]


async def test_now_keeps_what_was_sold_so_that_it_can_be_put_back(connection, new_plan, new_customer):
    plan = await new_plan("1000/hour")
    customer = await new_customer(plan)
    await plans.change(connection, plan.slug, limits=parse_limits(["1/hour"]), price_cents=999, at_once=True)
    assert await amounts(connection, customer) == [1]
    kept = await find_kept(connection, plan.id, None)
    async with connection.transaction():
        await restore_terms(connection, plan.id, kept.terms, at_once=True)
    assert await amounts(connection, customer) == [1000]
    assert (await terms(connection, customer)).price_cents == plan.price_cents
    with pytest.raises(Conflict, match="Nothing is to be undone"):
        await find_kept(connection, plan.id, None)


async def test_plain_sql_holds_at_once_for_who_is_not_pinned(connection, new_plan, new_customer):
    plan = await new_plan("1000/hour")
    pinned = await new_customer(plan)
    await plans.change(connection, plan.slug, limits=parse_limits(["100/hour"]))
    free = await new_customer(plan)
    await connection.execute("update plan_limit set amount = 7 where plan_id = $1", plan.id)
    assert [await amounts(connection, one) for one in (pinned, free)] == [[1000], [7]]


async def test_prices_on_a_plan_are_set_reset_and_kept(connection, new_plan, new_customer, forecast):
    target = f"{forecast.service_slug}:forecast"
    plan = await new_plan(prices=[parse_price(f"{target}=0.5")])
    assert [(price.operation, price.price_micro, price.quota_cost) for price in plan.prices] == [
        ("forecast", 500_000, None)
    ]
    customer = await new_customer(plan)
    changed = await plans.change(
        connection, plan.slug, prices=[parse_price(f"{target}=2"), parse_quota_cost(f"{target}=3")]
    )
    assert [(price.price_micro, price.quota_cost) for price in changed.prices] == [(2_000_000, 3)]
    held, sold = await terms(connection, customer), await terms(connection, await new_customer(plan))
    assert (held.prices[forecast.id], held.quota_costs[forecast.id]) == (500_000, 1)
    assert (sold.prices[forecast.id], sold.quota_costs[forecast.id]) == (2_000_000, 3)
    partly = await plans.change(connection, plan.slug, prices=[parse_price(f"{target}=default")])
    assert [(price.price_micro, price.quota_cost) for price in partly.prices] == [(None, 3)]
    assert (await plans.change(connection, plan.slug, prices=[parse_quota_cost(f"{target}=default")])).prices == ()
    with pytest.raises(NotFound, match="no operation"):
        await plans.change(connection, plan.slug, prices=[parse_price(f"{forecast.service_slug}:other=1")])
    for wrong in ("x=1", "a:b", "a:b=", "a:b=-1", "a:b=0.0000001", ":b=1"):
        with pytest.raises(InvalidValue):
            parse_price(wrong)
    with pytest.raises(InvalidValue):
        parse_quota_cost("a:b=1.5")


async def test_another_price_of_an_operation_is_no_other_price_of_what_was_sold(
    connection, new_plan, new_customer, forecast
):
    plan = await new_plan()
    old = await new_customer(plan)
    await operations.change(connection, forecast.id, price_micro=9_000_000, quota_cost=4)
    new = await new_customer(plan)
    held, sold = await terms(connection, old), await terms(connection, new)
    assert (held.prices[forecast.id], held.quota_costs[forecast.id]) == (1_000_000, 1)
    assert (sold.prices[forecast.id], sold.quota_costs[forecast.id]) == (9_000_000, 4)
    # Nothing sold changes with the name; at once is for who follows the plan's rows.
    await operations.change(connection, forecast.id, name="weather forecast", price_micro=9_000_000)
    await operations.change(connection, forecast.id, price_micro=2_000_000, at_once=True)
    assert (await fetch_record(connection, new.id)).plan_version is None
    assert (await terms(connection, old)).prices[forecast.id] == 1_000_000


async def test_an_operation_that_was_free_when_sold_stays_free(connection, new_plan, new_customer, forecast):
    await operations.change(connection, forecast.id, price_micro=0)
    plan = await new_plan()
    old = await new_customer(plan)
    await operations.change(connection, forecast.id, price_micro=3)
    assert (await terms(connection, old)).prices[forecast.id] == 0


async def test_a_failed_edit_pins_nobody(connection, new_plan, new_customer):
    plan = await new_plan("1000/hour")
    customer = await new_customer(plan)
    with pytest.raises(NotFound):
        await plans.change(connection, plan.slug, limits=parse_limits(["10/hour on no-such-service"]))
    with pytest.raises(InvalidValue):
        await plans.change(connection, plan.slug, limits=parse_limits(["10/hour"]), trial_days=60, trial_calls=5)
    assert await amounts(connection, customer) == [1000]
    assert await versions(connection, plan) == 0
    for wrong in ({"overage": "free"}, {"grace_days": -1}, {"trial_calls": 0}, {"currency": "EUR"}, {"sort_order": -1}):
        with pytest.raises(InvalidValue):
            await plans.change(connection, plan.slug, **wrong)


async def test_versions_are_never_changed(connection, new_plan, new_customer):
    plan = await new_plan("1000/hour")
    await new_customer(plan)
    await plans.change(connection, plan.slug, limits=parse_limits(["10/hour"]))
    for statement in (
        "update plan_version set number = 9 where plan_id = $1",
        "delete from plan_version where plan_id = $1",
    ):
        with pytest.raises(asyncpg.PostgresError, match="append-only"):
            await connection.execute(statement, plan.id)


async def test_edits_at_once_of_one_plan_keep_what_each_customer_bought(pool, connection, new_plan, new_customer):
    plan = await new_plan("1000/hour")
    customers = [await new_customer(plan) for _ in range(5)]

    async def edit(amount):
        async with pool.acquire() as own:
            await plans.change(own, plan.slug, limits=parse_limits([f"{amount}/hour"]))

    await asyncio.gather(*(edit(amount) for amount in range(1, 6)))
    assert [await amounts(connection, one) for one in customers] == [[1000]] * 5
    numbers = await connection.fetch("select number from plan_version where plan_id = $1 order by number", plan.id)
    assert [row["number"] for row in numbers] == list(range(1, len(numbers) + 1))


async def test_an_edit_and_a_roll_over_at_once_end_in_one_of_two_orders(pool, connection, new_plan, new_customer):
    for _ in range(5):
        plan = await new_plan("1000/hour")
        customer = await new_customer(plan)
        end = (await fetch_subscription(connection, customer.id)).period_end

        async def edit(slug=plan.slug):
            async with pool.acquire() as own:
                await plans.change(own, slug, limits=parse_limits(["10/hour"]))

        async def renew(moment=end):
            async with pool.acquire() as own:
                await settle_due(own, now=moment + timedelta(seconds=1), most=100_000)

        await asyncio.gather(edit(), renew())
        held = await fetch_subscription(connection, customer.id)
        assert held.period_start == end
        # Rolled before the edit: the new period was sold as the plan was. After it: as the plan is.
        assert await amounts(connection, customer) == ([1000] if held.plan_version_id else [10])
