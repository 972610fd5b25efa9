"""Actions on subscriptions: what was foreseen is what comes, whatever state it is in."""

import asyncio
from datetime import timedelta

import pytest

from domain import lifecycle, subscriptions
from domain.lifecycle import Terms
from domain.subscription_rows import fetch_subscription, settle
from tests.audited import written


async def _now(office, customer):
    return await fetch_subscription(office.pool, customer.organization.id)


async def _plan_of(office, customer):
    held = await _now(office, customer)
    return await office.pool.fetchval("select slug from plan where id = $1", held.plan_id)


def _row(name, now, then):
    return f"<td>{name}</td><td>{now}</td><td><strong>{then}</strong></td>"


def _utc(moment):
    return f"{moment:%d %b %Y, %H:%M} UTC"


async def test_a_plan_changes_at_once_with_price_and_limits(office, superuser, customer):
    values = {"organization": customer.organization.slug, "plan": customer.other, "begins": "now"}
    seen = await superuser.browser.preview("change-plan", **values)
    for row in (
        _row("Plan", customer.plan, customer.other),
        _row("Price a month", "$10", "$49"),
        _row("Limit hour", "100 requests an hour", "900 requests an hour"),
        _row("Limit day", "1,000 requests a day", "none"),
    ):
        assert row in seen.text, row
    done = await superuser.browser.act("change-plan", "upgrade by phone", **values)
    assert done.status_code == 200, done.text
    assert await _plan_of(office, customer) == customer.other
    [entry] = await written(office, (await _now(office, customer)).id)
    assert (entry.verb, entry.before["plan"], entry.after["plan"], entry.reason) == (
        "subscription.change",
        customer.plan,
        customer.other,
        "upgrade by phone",
    )
    again = await superuser.browser.act("change-plan", **values)
    assert (again.status_code, "stands already" in again.text) == (409, True)


async def test_a_plan_changes_with_the_next_period(office, superuser, customer, connection):
    values = {"organization": customer.organization.slug, "plan": customer.other, "begins": "period-end"}
    seen = await superuser.browser.preview("change-plan", **values)
    assert _row("Plan after that", "the same", customer.other) in seen.text
    assert (await superuser.browser.act("change-plan", **values)).status_code == 200
    held = await _now(office, customer)
    assert await _plan_of(office, customer) == customer.plan
    await settle(connection, held.id, held.period_end)
    assert await _plan_of(office, customer) == customer.other


async def test_an_organization_whose_subscription_ended_begins_anew(office, superuser, customer, connection):
    await subscriptions.cancel(connection, customer.organization.id, at_once=True)
    values = {"organization": customer.organization.slug, "plan": customer.other}
    seen = await superuser.browser.preview("change-plan", **values)
    assert "has no subscription that lives" in seen.text
    assert (await superuser.browser.act("change-plan", **values)).status_code == 200
    held = await _now(office, customer)
    assert (held.state, await _plan_of(office, customer)) == ("active", customer.other)


async def test_a_plan_that_takes_nobody_or_is_none_is_told(office, superuser, customer):
    await office.pool.execute("update plan set active = false where slug = $1", customer.other)
    for plan, status, sentence in (
        (customer.other, 409, "takes no new subscriptions"),
        ("no-such", 404, "There is no plan no-such."),
    ):
        answer = await superuser.browser.act("change-plan", organization=customer.organization.slug, plan=plan)
        assert (answer.status_code, sentence in answer.text) == (status, True)


async def test_a_paid_period_is_extended_and_later_ones_follow_from_its_end(office, superuser, customer):
    before = await _now(office, customer)
    values = {"organization": customer.organization.slug, "days": "10"}
    seen = await superuser.browser.preview("extend-subscription", **values)
    end = before.period_end + timedelta(days=10)
    assert _row("Period ends", _utc(before.period_end), _utc(end)) in seen.text
    assert (await superuser.browser.act("extend-subscription", "outage", **values)).status_code == 200
    held = await _now(office, customer)
    assert held.period_end == end
    renewed = lifecycle.settled(held, Terms(free=False, grace_days=0), end)
    assert (renewed.period_start, renewed.period_end - end >= timedelta(days=28)) == (end, True)
    [entry] = await written(office, held.id)
    assert (entry.verb, entry.reason) == ("subscription.extend", "outage")


@pytest.mark.parametrize("state", ["trialing", "past_due"])
async def test_a_trial_and_a_grace_are_extended_too(office, superuser, customer, state):
    before = await _now(office, customer)
    end = before.period_start + timedelta(days=3)
    await office.pool.execute(
        "update subscription set state = $2, trial_ends_at = case when $2 = 'trialing' then $3::timestamptz end,"
        " period_end = $3, grace_until = case when $2 = 'past_due' then $3::timestamptz end where id = $1",
        before.id,
        state,
        end,
    )
    answer = await superuser.browser.act("extend-subscription", organization=customer.organization.slug, days="7")
    assert answer.status_code == 200, answer.text
    held = await _now(office, customer)
    assert (held.trial_ends_at if state == "trialing" else held.grace_until) == end + timedelta(days=7)


async def test_an_extension_has_a_length_and_something_to_extend(office, superuser, customer, connection):
    values = {"organization": customer.organization.slug}
    assert (await superuser.browser.act("extend-subscription", days="0", **values)).status_code == 422
    assert (await superuser.browser.act("extend-subscription", days="366", **values)).status_code == 422
    await subscriptions.cancel(connection, customer.organization.id, at_once=True)
    answer = await superuser.browser.act("extend-subscription", days="7", **values)
    assert (answer.status_code, "no live subscription" in answer.text) == (409, True)


async def test_a_cancellation_at_the_period_s_end_is_taken_back(office, superuser, customer):
    before = await _now(office, customer)
    values = {"organization": customer.organization.slug}
    seen = await superuser.browser.preview("cancel-subscription", ends="period-end", **values)
    assert _row("Cancelled for", "–", _utc(before.period_end)) in seen.text
    assert (await superuser.browser.act("cancel-subscription", ends="period-end", **values)).status_code == 200
    assert (await _now(office, customer)).cancel_at == before.period_end
    seen = await superuser.browser.preview("resume-subscription", **values)
    assert _row("Cancelled for", _utc(before.period_end), "–") in seen.text
    assert (await superuser.browser.act("resume-subscription", **values)).status_code == 200
    assert (await _now(office, customer)).cancel_at is None
    assert [entry.verb for entry in await written(office, before.id)] == ["subscription.cancel", "subscription.resume"]
    again = await superuser.browser.act("resume-subscription", **values)
    assert (again.status_code, "stands already" in again.text) == (409, True)


async def test_a_subscription_that_is_ended_at_once_is_over(office, superuser, customer):
    values = {"organization": customer.organization.slug, "ends": "now"}
    seen = await superuser.browser.preview("cancel-subscription", **values)
    assert _row("State", "active", "cancelled") in seen.text
    assert _row("Ended", "–", "the moment it is done") in seen.text
    assert (await superuser.browser.act("cancel-subscription", **values)).status_code == 200
    assert (await _now(office, customer)).state == "cancelled"
    again = await superuser.browser.act("cancel-subscription", **values)
    assert (again.status_code, "is cancelled already" in again.text) == (409, True)
    resumed = await superuser.browser.act("resume-subscription", organization=customer.organization.slug)
    assert (resumed.status_code, "put the organization on a plan instead" in resumed.text) == (409, True)


async def test_what_was_unpaid_counts_as_paid_after_a_resumption(office, superuser, customer, connection):
    await subscriptions.mark_unpaid(connection, customer.organization.id)
    support = await office.operator("support")
    refused = await support.browser.act("resume-subscription", organization=customer.organization.slug)
    assert refused.status_code == 403
    seen = await superuser.browser.preview("resume-subscription", organization=customer.organization.slug)
    assert _row("State", "past_due", "active") in seen.text
    await superuser.browser.act("resume-subscription", organization=customer.organization.slug)
    assert (await _now(office, customer)).state == "active"


async def test_a_change_of_the_customer_s_meanwhile_stops_the_operator_s(office, superuser, customer, connection):
    values = {"organization": customer.organization.slug, "ends": "now"}
    form = await superuser.browser.look("cancel-subscription", **values)
    await subscriptions.change_plan(connection, customer.organization.id, customer.other)
    # The end at once says nothing of the plan: it goes on. An end that shows another moment does not.
    late = await superuser.browser.post("/actions/cancel-subscription", {**form, "reason": "a test"})
    assert late.status_code == 200
    other = {"organization": customer.organization.slug, "plan": customer.plan, "begins": "now"}
    form = await superuser.browser.look("change-plan", **other)
    await subscriptions.subscribe(connection, customer.organization.id, customer.other)
    late = await superuser.browser.post("/actions/change-plan", {**form, "reason": "a test"})
    assert (late.status_code, "has changed since you looked" in late.text) == (409, True)
    assert await _plan_of(office, customer) == customer.other


async def test_of_two_extensions_at_once_none_is_lost_in_silence(office, superuser, customer):
    before = await _now(office, customer)
    values = {"organization": customer.organization.slug, "days": "10"}
    forms = [await superuser.browser.look("extend-subscription", **values) for _ in range(3)]
    answers = await asyncio.gather(
        *(superuser.browser.post("/actions/extend-subscription", {**form, "reason": "race"}) for form in forms)
    )
    done = sum(answer.status_code == 200 for answer in answers)
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert done >= 1
    assert (await _now(office, customer)).period_end == before.period_end + timedelta(days=10 * done)
