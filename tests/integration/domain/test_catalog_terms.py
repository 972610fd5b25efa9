"""Which terms a key has in the data plane: the plan's, those of a version, with overrides, in a trial; and until when."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain import limit_overrides, operations, organizations, plans
from domain.catalog.own_plans import OwnPlans
from domain.entitlements import TRIAL_LIMIT
from domain.limit_texts import parse_limits
from domain.prices import price_micro, quota_cost
from domain.refusals import CannotDecide
from domain.renewals import settle_due
from domain.snapshots import NO_ID, LimitOverride
from domain.subscription_reading import fetch_entitlements
from gateway.policies.check_access import subscribed
from tests import snapshots

from .conftest import make_customer, make_service, resolved, until, until_key


async def terms(catalog, customer):
    return catalog.plan_of(await resolved(catalog.find_key(customer.key)))


def amounts(plan):
    return {limit.name: limit.amount for limit in plan.limits}


async def change_subscription(pool, customer, assignments):
    await pool.execute(f"update subscription set {assignments} where organization_id = $1", customer.organization_id)


async def test_an_edit_reaches_new_customers_and_the_old_one_with_the_next_period(run_catalog, pool, customer):
    catalog, other = await run_catalog(), await run_catalog()
    before = await terms(catalog, customer)
    assert before.limits == (await terms(other, customer)).limits
    async with pool.acquire() as connection:
        await plans.change(connection, customer.plan_slug, limits=parse_limits(["10/hour"]), name="Renamed")
        late = await organizations.create(connection, name="late", plan_slug=customer.plan_slug)
    await until(lambda: amounts(catalog.plan(customer.plan_id)) == {"hour": 10})
    for one in (catalog, other):
        await until_key(one, customer.key, lambda key: key.plan_version_id is not None)
        pinned = await terms(one, customer)
        assert (pinned.id, pinned.slug, pinned.name) == (before.id, before.slug, "Renamed")
        assert pinned.limits == before.limits
        # The same object while nothing changes: the limiter knows plans by their identity.
        assert await terms(one, customer) is pinned
    assert await pool.fetchval("select plan_version_id from subscription where organization_id = $1", late.id) is None
    async with pool.acquire() as connection:
        end = await connection.fetchval(
            "select period_end from subscription where organization_id = $1", customer.organization_id
        )
        # Only this customer's time passes.
        await connection.execute(
            "update subscription set period_end = now(), period_start = now() - interval '1 month', started_at ="
            " now() - interval '1 month' where organization_id = $1",
            customer.organization_id,
        )
        assert end > datetime.now(UTC)
        await settle_due(connection)
    await until_key(catalog, customer.key, lambda key: key.plan_version_id is None)
    assert amounts(await terms(catalog, customer)) == {"hour": 10}


async def test_prices_of_a_version_are_those_that_were_sold(run_catalog, pool, customer):
    catalog, slug = await run_catalog(), await make_service(pool)
    async with pool.acquire() as connection:
        made = await operations.create(
            connection, service_slug=slug, method="GET", path_pattern="/a", name="a", price_micro=5
        )
        await operations.change(connection, made.id, price_micro=9, quota_cost=3)
    await until(lambda: (found := catalog.match(b"GET", f"/{slug}/a".encode())) and found.operation.price_micro == 9)
    operation = catalog.match(b"GET", f"/{slug}/a".encode()).operation
    await until_key(catalog, customer.key, lambda key: key.plan_version_id is not None)
    held, sold = await terms(catalog, customer), catalog.plan(customer.plan_id)
    assert (price_micro(held, operation), quota_cost(held, operation)) == (5, 1)
    assert (price_micro(sold, operation), quota_cost(sold, operation)) == (9, 3)


async def test_overrides_hold_for_one_organization_and_end_by_themselves(run_catalog, pool, customer):
    catalog, other = await run_catalog(), await make_customer(pool)
    plan = await terms(catalog, customer)
    until_then = datetime.now(UTC) + timedelta(seconds=4)
    async with pool.acquire() as connection:
        await limit_overrides.override_limit(connection, customer.organization_id, "hour", amount=5, until=until_then)
    await until_key(catalog, customer.key, lambda key: key.overrides)
    own = await terms(catalog, customer)
    assert (amounts(own), own.limits[0].id) == ({"hour": 5}, plan.limits[0].id)
    assert await terms(catalog, customer) is own
    assert amounts(await terms(catalog, other)) == {"hour": 1000}
    # What was decided for a head may be remembered at most until then.
    left = catalog.good_until(customer.key) - time.monotonic()
    assert left <= until_then.timestamp() - time.time() + 0.01
    key = await resolved(catalog.find_key(customer.key))
    while amounts(catalog.plan_of(key)) != {"hour": 1000}:
        assert time.time() < until_then.timestamp() + 5
        await asyncio.sleep(0.005)
    assert time.time() >= until_then.timestamp()
    # What was decided a moment ago, with the override, is not remembered after it.
    assert catalog.good_until(customer.key) == 0.0


async def test_an_override_is_changed_dropped_and_refused(run_catalog, pool, customer):
    catalog = await run_catalog()
    async with pool.acquire() as connection:
        id_ = customer.organization_id
        await limit_overrides.override_limit(connection, id_, "hour", amount=5, reason="a while")
        changed = await limit_overrides.override_limit(connection, id_, "hour", shadow=True, reason="for good")
        assert (changed.amount, changed.shadow, changed.until, changed.reason) == (None, True, None, "for good")
        assert await limit_overrides.list_overrides(connection, id_) == [changed]
        await until_key(catalog, customer.key, lambda key: key.overrides)
        (limit,) = (await terms(catalog, customer)).limits
        assert (limit.amount, limit.shadow) == (1000, True)
        with pytest.raises(limit_overrides.NotFound, match="it has: hour"):
            await limit_overrides.override_limit(connection, id_, "day", amount=5)
        for wrong in ({}, {"amount": 0}, {"amount": 5, "until": datetime.now(UTC) - timedelta(seconds=1)}):
            with pytest.raises(limit_overrides.InvalidValue):
                await limit_overrides.override_limit(connection, id_, "hour", **wrong)
        await limit_overrides.drop_override(connection, id_, "hour")
        with pytest.raises(limit_overrides.NotFound):
            await limit_overrides.drop_override(connection, id_, "hour")
    await until_key(catalog, customer.key, lambda key: not key.overrides)
    assert (await terms(catalog, customer)).limits[0].shadow is False


async def test_a_trials_calls_are_a_limit_of_it(run_catalog, pool, customer):
    catalog = await run_catalog()
    await pool.execute("update plan set trial_calls = 7 where id = $1", customer.plan_id)
    await change_subscription(pool, customer, "state = 'trialing', trial_ends_at = period_end")
    await until_key(catalog, customer.key, lambda key: key.trialing)
    await until(lambda: catalog.plan(customer.plan_id).trial_calls == 7)
    assert amounts(await terms(catalog, customer)) == {"hour": 1000, TRIAL_LIMIT: 7}
    await change_subscription(pool, customer, "state = 'active'")
    await until_key(catalog, customer.key, lambda key: not key.trialing)
    assert amounts(await terms(catalog, customer)) == {"hour": 1000}


ENDS = {
    "a free plan": ("price_cents = 0", "state = 'active'", None),
    "a paid period and its grace": ("price_cents = 1, grace_days = 2", "state = 'active'", "period_end + interval '2 days'"),
    "without grace, an hour": ("price_cents = 1, grace_days = 0", "state = 'active'", "period_end + interval '1 hour'"),
    "cancelled": ("price_cents = 0", "cancel_at = now() + interval '3 hours'", "cancel_at"),
    "a trial": ("price_cents = 1", "state = 'trialing', trial_ends_at = now() + interval '3 hours'", "trial_ends_at"),
    "grace": ("price_cents = 0", "state = 'past_due', grace_until = now() + interval '3 hours'", "grace_until"),
}  # fmt: skip


@pytest.mark.parametrize("row", ENDS.values(), ids=ENDS)
async def test_until_when_a_key_has_access_is_what_the_entitlements_say(run_catalog, pool, customer, row):
    plan, subscription, expected = row
    catalog = await run_catalog()
    await pool.execute(f"update plan set {plan} where id = $1", customer.plan_id)
    await change_subscription(pool, customer, subscription)
    key = await resolved(catalog.find_key(customer.key))
    moment = expected and await pool.fetchval(
        f"select {expected} from subscription where organization_id = $1", customer.organization_id
    )
    async with pool.acquire() as connection:
        entitled = await fetch_entitlements(connection, customer.organization_id)
    assert entitled.until == moment
    assert key.access_until == (None if moment is None else pytest.approx(moment.timestamp(), abs=1e-3))
    assert subscribed(key)
    if moment is not None:
        assert not subscribed(replace(key, access_until=time.time()))


async def test_what_ended_by_time_alone_has_no_access(run_catalog, pool, customer):
    catalog = await run_catalog()
    await change_subscription(pool, customer, "cancel_at = now()")
    key = await resolved(catalog.find_key(customer.key))
    assert (key.plan_id, subscribed(key)) == (customer.plan_id, False)


async def test_months_are_counted_from_the_anchor_where_the_period_began_on_a_shorter_months_last_day(
    run_catalog, pool, customer
):
    catalog = await run_catalog()
    january, february, march = (
        datetime(2027, 1, 31, tzinfo=UTC),
        datetime(2027, 2, 28, tzinfo=UTC),
        datetime(2027, 3, 31, tzinfo=UTC),
    )
    await pool.execute(
        "update subscription set started_at = $2, period_start = $3, period_end = $4 where organization_id = $1",
        customer.organization_id, january, february, march,
    )  # fmt: skip
    key = await resolved(catalog.find_key(customer.key))
    assert (key.period_start, key.month_anchor) == (february.timestamp(), january.timestamp())
    await pool.execute(
        "update subscription set started_at = $2 where organization_id = $1", customer.organization_id, february
    )
    key = await until_then_key(catalog, customer, lambda found: found.period_anchor is None)
    assert key.month_anchor == february.timestamp()


async def until_then_key(catalog, customer, condition):
    await until_key(catalog, customer.key, condition)
    return await resolved(catalog.find_key(customer.key))


async def test_terms_that_were_not_read_decide_nothing(run_catalog, customer):
    catalog = await run_catalog()
    key = await resolved(catalog.find_key(customer.key))
    for unread in (replace(key, plan_id=NO_ID), replace(key, plan_version_id=NO_ID)):
        with pytest.raises(CannotDecide):
            catalog.plan_of(unread)


def test_own_plans_are_made_once_and_bounded(monkeypatch):
    monkeypatch.setattr("domain.catalog.own_plans._MOST_HELD", 3)
    own, plan = OwnPlans(), snapshots.plan(snapshots.limit("hour", 10))
    keys = [replace(snapshots.key(), overrides=(LimitOverride("hour", amount),)) for amount in range(1, 9)]
    assert own.of(plan, snapshots.key(), 0.0) is plan
    for key in keys:
        found = own.of(plan, key, 0.0)
        assert found.limits[0].amount == key.overrides[0].amount
        assert own.of(plan, key, 0.0) is found
    assert len(own._held) <= 3
