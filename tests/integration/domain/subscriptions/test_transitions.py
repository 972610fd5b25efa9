"""Subscriptions in the database: every command, two at once, trials once, the sweep in several processes."""

import asyncio
import contextlib
from datetime import timedelta
from itertools import permutations

import asyncpg
import pytest

from domain import subscriptions, trials
from domain.billing_periods import months_after
from domain.faults import Conflict, InvalidValue, NotFound
from domain.renewals import count_overdue, roll, settle_due
from domain.settings import SecretSettings
from domain.subscription_reading import fetch_entitlements, fetch_record, list_subscriptions
from domain.subscription_rows import fetch_subscription
from tests.portals import SECRETS
from tests.subscriptions import fresh

DAY = timedelta(days=1)


def address():
    return f"{fresh('ada')}@example.com"


@pytest.fixture
async def free(new_plan):
    return await new_plan("100/hour", sort_order=10)


@pytest.fixture
async def pro(new_plan):
    return await new_plan("1000/hour", sort_order=20, price_cents=4_900, trial_days=14)


@pytest.fixture
async def ultra(new_plan):
    return await new_plan("9000/hour", sort_order=30, price_cents=9_900)


async def held(connection, customer):
    return await fetch_subscription(connection, customer.id)


async def test_a_subscription_begins_with_a_month(connection, pro, new_customer):
    begun = await held(connection, await new_customer(pro))
    assert begun.started_at == begun.period_start
    assert begun.period_end == months_after(begun.period_start, 1)


async def test_a_higher_plan_holds_at_once_a_lower_one_from_the_next_period(connection, free, pro, ultra, new_customer):
    customer = await new_customer(pro)
    begun = await held(connection, customer)
    await subscriptions.change_plan(connection, customer.id, ultra.slug, at="rank")
    assert (await held(connection, customer)).plan_id == ultra.id
    await subscriptions.change_plan(connection, customer.id, free.slug, at="rank")
    now = await held(connection, customer)
    assert (now.plan_id, now.next_plan_id, now.period_end) == (ultra.id, free.id, begun.period_end)
    await settle_due(connection, now=begun.period_end, most=100_000)
    then = await held(connection, customer)
    assert (then.plan_id, then.next_plan_id, then.period_start) == (free.id, None, begun.period_end)


async def test_what_cannot_be_changed(connection, pro, new_customer):
    customer = await new_customer(pro)
    with pytest.raises(NotFound):
        await subscriptions.change_plan(connection, customer.id, "no-such-plan")
    await subscriptions.cancel(connection, customer.id, at_once=True)
    for change in (
        subscriptions.change_plan(connection, customer.id, pro.slug),
        subscriptions.mark_unpaid(connection, customer.id),
        trials.extend_trial(connection, customer.id, DAY),
        roll(connection, customer.id),
    ):
        with pytest.raises(Conflict):
            await change


async def test_cancelled_reactivated_and_begun_anew(connection, pro, new_customer):
    customer = await new_customer(pro)
    begun = await held(connection, customer)
    assert (await subscriptions.cancel(connection, customer.id)).cancel_at == begun.period_end
    assert (await subscriptions.cancel(connection, customer.id)).cancel_at == begun.period_end
    assert await subscriptions.reactivate(connection, customer.id) == begun
    assert await subscriptions.reactivate(connection, customer.id) == begun
    await subscriptions.cancel(connection, customer.id)
    await settle_due(connection, now=begun.period_end, most=100_000)
    ended = await held(connection, customer)
    assert (ended.state, ended.ended_at) == ("cancelled", begun.period_end)
    anew = await subscriptions.reactivate(connection, customer.id)
    assert (anew.live, anew.id != begun.id, anew.plan_id) == (True, True, pro.id)
    assert [row.state for row in await list_subscriptions(connection, plan_slug=pro.slug, ended=True)] == [
        "cancelled",
        "active",
    ]
    assert (await fetch_record(connection, customer.id)).id == anew.id


async def test_unpaid_within_grace_then_paid_or_expired(connection, pro, new_customer):
    paying, leaving = await new_customer(pro), await new_customer(pro)
    end = (await held(connection, paying)).period_end
    for customer in (paying, leaving):
        owing = await subscriptions.mark_unpaid(connection, customer.id, now=end - DAY)
        assert (owing.state, owing.grace_until) == ("past_due", end + 2 * DAY)
    paid = await subscriptions.reactivate(connection, paying.id, now=end + DAY)
    assert (paid.state, paid.period_start) == ("active", end)
    entitled = await fetch_entitlements(connection, leaving.id, now=end + DAY)
    assert (entitled.state, entitled.until) == ("grace", end + 2 * DAY)
    await settle_due(connection, now=end + 2 * DAY, most=100_000)
    assert (await held(connection, leaving)).state == "expired"


async def test_several_missed_periods_are_made_up_for_at_once(connection, pro, new_customer):
    customer = await new_customer(pro)
    begun = await held(connection, customer)
    later = await roll(connection, customer.id, now=months_after(begun.started_at, 7))
    assert later.period_start == months_after(begun.started_at, 7)
    with pytest.raises(Conflict, match="Nothing is due"):
        await roll(connection, customer.id, now=later.period_start + DAY)


async def test_a_customer_whose_time_ran_out_may_subscribe_although_no_job_ran(connection, pro, free, new_customer):
    customer = await new_customer(pro)
    await subscriptions.cancel(connection, customer.id)
    end = (await held(connection, customer)).period_end
    with pytest.raises(Conflict, match="live"):
        await subscriptions.subscribe(connection, customer.id, free.slug, now=end - DAY)
    await subscriptions.subscribe(connection, customer.id, free.slug, now=end + DAY)
    assert (await held(connection, customer)).plan_id == free.id


# -- trials


async def test_a_trial_from_a_free_plan_returns_to_it(connection, free, pro, new_customer):
    customer = await new_customer(free)
    begun = await trials.start_trial(connection, customer.id, pro.slug, email=address())
    assert (begun.state, begun.plan_id, begun.next_plan_id) == ("trialing", pro.id, free.id)
    assert begun.trial_ends_at - begun.period_start == 14 * DAY
    await settle_due(connection, now=begun.trial_ends_at, most=100_000)
    after = await held(connection, customer)
    assert (after.state, after.plan_id, after.period_start) == ("active", free.id, begun.trial_ends_at)


async def test_a_trial_without_a_plan_before_expires_and_can_be_bought(connection, pro, new_customer):
    leaving, buying = await new_customer(pro), await new_customer(pro)
    for customer in (leaving, buying):
        await subscriptions.cancel(connection, customer.id, at_once=True)
        await trials.start_trial(connection, customer.id, pro.slug, email=address())
    end = (await held(connection, leaving)).trial_ends_at
    await subscriptions.change_plan(connection, buying.id, pro.slug)
    assert (await held(connection, buying)).state == "active"
    assert (await fetch_entitlements(connection, leaving.id, now=end)).access is False
    await settle_due(connection, now=end + DAY, most=100_000)
    assert [(await held(connection, one)).state for one in (leaving, buying)] == ["expired", "active"]


async def test_a_trial_is_had_once_by_an_organization_and_once_by_an_address(connection, free, pro, new_customer):
    first, second = await new_customer(free), await new_customer(free)
    email = address()
    await trials.start_trial(connection, first.id, pro.slug, email=email)
    await subscriptions.cancel(connection, first.id, at_once=True)
    for organization_id, address_ in ((first.id, address()), (second.id, f" {email.upper()} ")):
        with pytest.raises(Conflict, match="had its trial"):
            await trials.start_trial(connection, organization_id, pro.slug, email=address_)
    # A refused one leaves no claim behind.
    assert (await trials.start_trial(connection, second.id, pro.slug, email=address())).state == "trialing"


async def test_trials_that_are_not_to_be_had(connection, free, pro, ultra, new_customer):
    customer, paying = await new_customer(free), await new_customer(ultra)
    with pytest.raises(Conflict, match="without a trial"):
        await trials.start_trial(connection, customer.id, ultra.slug, email=address())
    with pytest.raises(Conflict, match="costs nothing"):
        await trials.start_trial(connection, paying.id, pro.slug, email=address())
    for wrong in ("", "nobody", "@example.com", "ada@", f"{'a' * 250}@example.com"):
        with pytest.raises(InvalidValue):
            await trials.start_trial(connection, customer.id, pro.slug, email=wrong)


async def test_of_two_trials_at_once_there_is_one(pool, connection, free, pro, new_customer):
    for _ in range(5):
        first, second, email = await new_customer(free), await new_customer(free), address()

        async def start(customer, address_):
            async with pool.acquire() as own:
                return await trials.start_trial(own, customer.id, pro.slug, email=address_)

        results = await asyncio.gather(
            start(first, email), start(first, address()), start(second, email), return_exceptions=True
        )
        begun = [result for result in results if not isinstance(result, Exception)]
        assert all(isinstance(result, Conflict) for result in results if isinstance(result, Exception))
        # Either the first with its own address, or the two others of which neither stands in the other's way.
        assert 1 <= len(begun) <= 2
        assert len({one.organization_id for one in begun}) == len(begun)
        claims = await connection.fetchval(
            "select count(*) from trial_claim where organization_id = any($1)", [first.id, second.id]
        )
        assert claims == len(begun)


async def test_addresses_of_trials_become_digests_that_are_found_again(connection, free, pro, new_customer):
    rotated = SecretSettings(keys=f"{SECRETS},2:{'88' * 32}")
    emails = [address() for _ in range(3)]
    for email in emails:
        await trials.start_trial(connection, (await new_customer(free)).id, pro.slug, email=email)
    assert await trials.seal_claims(connection, SecretSettings(keys="")) == 0
    assert await trials.seal_claims(connection, SecretSettings(keys=SECRETS)) >= 3
    assert await trials.seal_claims(connection, rotated) == 0
    assert not await connection.fetchval("select count(*) from trial_claim where email = any($1)", emails)
    for change in ("email = 'ada@example.com'", "email = '1@digest.invalid'", "organization_id = organization_id"):
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute(f"update trial_claim set {change}")
    again = await new_customer(free)
    for email in emails:
        with pytest.raises(Conflict, match="has had its trial"):
            await trials.start_trial(connection, again.id, pro.slug, email=email, secrets=rotated)


async def test_a_trial_of_calls_lasts_14_days_and_is_extended(connection, free, new_plan, new_customer):
    plan = await new_plan(trial_calls=50, price_cents=1)
    customer = await new_customer(free)
    begun = await trials.start_trial(connection, customer.id, plan.slug, email=address())
    assert begun.trial_ends_at - begun.period_start == 14 * DAY
    entitled = await fetch_entitlements(connection, customer.id)
    assert [(limit.name, limit.amount) for limit in entitled.limits] == [("hour", 1000), ("trial", 50)]
    longer = await trials.extend_trial(connection, customer.id, 7 * DAY)
    assert longer.trial_ends_at == begun.trial_ends_at + 7 * DAY
    assert longer.period_end == longer.trial_ends_at


async def test_the_verified_address_of_an_owner_is_found(connection, free, new_customer):
    customer = await new_customer(free)
    assert await trials.verified_email(connection, customer.id) is None
    email = address()
    user_id = await connection.fetchval(
        "insert into users (username, email, password) values ($1, $1, 'x') returning id", email
    )
    await connection.execute(
        "insert into membership (organization_id, user_id, role) values ($1, $2, 'owner')", customer.id, user_id
    )
    assert await trials.verified_email(connection, customer.id) is None
    await connection.execute("update users set email_verified_at = now() where id = $1", user_id)
    assert await trials.verified_email(connection, customer.id) == email


# -- two at once


COMMANDS = {
    "cancel": subscriptions.cancel,
    "unpaid": subscriptions.mark_unpaid,
    "upgrade": subscriptions.change_plan,
}


@pytest.mark.parametrize("name", COMMANDS)
async def test_of_the_same_command_at_once_one_is_made_and_others_conflict_or_see_it(
    pool, connection, pro, ultra, new_customer, name
):
    customer = await new_customer(pro)
    rest = (ultra.slug,) if name == "upgrade" else ()

    async def run():
        async with pool.acquire() as own:
            return await COMMANDS[name](own, customer.id, *rest)

    results = await asyncio.gather(*(run() for _ in range(6)), return_exceptions=True)
    assert any(not isinstance(result, Exception) for result in results)
    assert all(isinstance(result, Conflict) for result in results if isinstance(result, Exception))
    now = await held(connection, customer)
    assert {
        "cancel": now.cancel_at == now.period_end,
        "unpaid": now.state == "past_due",
        "upgrade": now.plan_id == ultra.id,
    }[name]


async def test_a_row_that_changed_between_look_and_write_is_a_conflict(pool, connection, pro, new_customer):
    from domain import lifecycle
    from domain.subscription_rows import transition

    customer = await new_customer(pro)

    def move(subscription, terms, now):
        return lifecycle.cancelled_at_period_end(subscription, now)

    async with pool.acquire() as own, own.transaction():
        # Held back until the other has looked: it waits for this row, and then finds another one than it saw.
        await subscriptions.cancel(own, customer.id, at_once=True)
        other = asyncio.create_task(transition(connection, customer.id, move))
        waiting = (
            "select count(*) from pg_stat_activity where datname = current_database()"
            " and wait_event_type = 'Lock' and query like '%update subscription%'"
        )
        async with pool.acquire() as watching:
            while not await watching.fetchval(waiting):
                await asyncio.sleep(0.005)
    with pytest.raises(Conflict, match="at the same time"):
        await other
    assert (await held(connection, customer)).state == "cancelled"


async def test_sweeps_at_once_settle_each_subscription_once(pool, connection, pro, new_customer):
    customers = [await new_customer(pro) for _ in range(12)]
    ends = [(await held(connection, one)).period_end for one in customers]
    moment = max(ends)

    async def sweep():
        async with pool.acquire() as own:
            return await settle_due(own, now=moment, most=100_000)

    made = [one for swept in await asyncio.gather(*(sweep() for _ in range(4))) for one in swept]
    mine = [one.organization_id for one in made if one.organization_id in {c.id for c in customers}]
    assert sorted(mine) == sorted(c.id for c in customers)
    assert [(await held(connection, one)).period_start for one in customers] == ends
    assert not [one for one in await sweep() if one.organization_id in mine]


async def test_a_sweep_is_bounded(connection, pro, new_customer):
    customers = [await new_customer(pro) for _ in range(3)]
    end = max([(await held(connection, one)).period_end for one in customers])
    assert await count_overdue(connection, end) >= 3
    sizes = []
    while made := await settle_due(connection, now=end, most=2):
        sizes.append(len(made))
    assert max(sizes) <= 2
    assert await count_overdue(connection, end) == 0
    assert all([(await held(connection, one)).period_end > end for one in customers])


@pytest.mark.parametrize("what", ["trial that ends", "trial that goes on", "period", "cancellation", "grace"])
@pytest.mark.parametrize("wish", ["upgrade", "downgrade", "cancel"])
async def test_l13_sweep_and_wish_at_one_instant_commute(connection, free, pro, ultra, new_customer, what, wish):
    """The states alone tell: ids and organizations differ."""
    outcomes = set()
    for order in permutations(["sweep", wish, "sweep"]):
        customer = await new_customer(free if what == "trial that goes on" else pro)
        begin = (await held(connection, customer)).started_at
        if what.startswith("trial"):
            if what == "trial that ends":
                await subscriptions.cancel(connection, customer.id, at_once=True)
            await trials.start_trial(connection, customer.id, pro.slug, email=address(), now=begin)
        elif what == "cancellation":
            await subscriptions.cancel(connection, customer.id)
        elif what == "grace":
            await subscriptions.mark_unpaid(connection, customer.id)
        now = await held(connection, customer)
        instant = now.grace_until or now.trial_ends_at or now.period_end
        for step in order:
            with contextlib.suppress(Conflict):
                if step == "sweep":
                    await settle_due(connection, now=instant, most=100_000)
                elif step == "cancel":
                    await subscriptions.cancel(connection, customer.id, now=instant)
                else:
                    at = "once" if step == "upgrade" else "period-end"
                    await subscriptions.change_plan(connection, customer.id, ultra.slug, at=at, now=instant)
        end = await held(connection, customer)
        moments = (None if at is None else at - instant for at in (end.cancel_at, end.ended_at))
        outcomes.add((end.state, end.plan_id, end.next_plan_id, *moments))
        if end.live:
            assert end.period_start == instant
    assert len(outcomes) == 1
    ((state, *_),) = outcomes
    ends = {"trial that ends": "expired", "cancellation": "cancelled", "grace": "expired"}
    assert state == ends.get(what, "active")
