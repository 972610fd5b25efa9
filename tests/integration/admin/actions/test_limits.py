"""Actions on limits: overrides until a date, spend caps, a plan's limit in shadow for everybody on it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from domain import organizations, plans
from domain.limit_texts import parse_limits
from domain.plan_versions import terms_of
from domain.subscription_reading import fetch_entitlements
from domain.subscription_rows import fetch_subscription
from tests.audited import written
from tests.subscriptions import fresh

FRIDAY = (datetime.now(UTC) + timedelta(days=4)).replace(hour=18, minute=0, second=0, microsecond=0)


def _override(customer, **changes):
    return {
        "organization": customer.organization.slug,
        "limit": "hour",
        "amount": "500",
        "until": f"{FRIDAY:%Y-%m-%dT%H:%M}",
        **changes,
    }


async def _hour(office, customer, at=None):
    entitled = await fetch_entitlements(office.pool, customer.organization.id, now=at)
    return next(limit for limit in entitled.limits if limit.name == "hour")


async def test_a_limit_is_raised_until_friday_and_no_longer(office, superuser, customer):
    seen = await superuser.browser.preview("override-limit", **_override(customer))
    assert "<td>Limit hour</td><td>100 requests an hour</td><td><strong>500 requests an hour</strong></td>" in seen.text
    assert f"until {FRIDAY:%d %b %Y}, 18:00 UTC" in seen.text
    done = await superuser.browser.act("override-limit", "launch week", **_override(customer))
    assert done.status_code == 200, done.text
    assert (await _hour(office, customer)).amount == 500
    assert (await _hour(office, customer, FRIDAY)).amount == 100
    entries = [entry for entry in await written(office, "hour", "limit.override") if entry.reason == "launch week"]
    assert entries[-1].after["amount"] == 500
    ended = await superuser.browser.act(
        "end-override", "launch is over", organization=customer.organization.slug, limit="hour"
    )
    assert ended.status_code == 200, ended.text
    assert (await _hour(office, customer)).amount == 100
    again = await superuser.browser.act("end-override", organization=customer.organization.slug, limit="hour")
    assert (again.status_code, "has no override of a limit hour" in again.text) == (404, True)


async def test_a_limit_is_only_counted_for_one_organization(office, superuser, customer):
    values = _override(customer, amount="", counted="yes", until="")
    seen = await superuser.browser.preview("override-limit", **values)
    assert "<strong>100 requests an hour, only counted</strong>" in seen.text
    assert "until somebody ends it" in seen.text
    await superuser.browser.act("override-limit", **values)
    assert (await _hour(office, customer)).shadow


async def test_less_than_the_plan_gives_is_warned_of(office, superuser, customer):
    seen = await superuser.browser.preview("override-limit", **_override(customer, amount="5"))
    assert "This is less than the plan gives." in seen.text


@pytest.mark.parametrize(
    ("changes", "status", "sentence"),
    [
        ({"limit": "minute"}, 404, "has no limit minute; it has: hour, day."),
        ({"amount": ""}, 422, "Say an amount, or whether it is only counted."),
        ({"amount": "0"}, 422, "Some values are not valid"),
        ({"until": "2020-01-01T00:00"}, 422, "is past"),
        ({"organization": "no-such"}, 404, "There is no organization"),
    ],
)
async def test_an_override_that_cannot_be_is_told(office, superuser, customer, changes, status, sentence):
    answer = await superuser.browser.act("override-limit", **_override(customer, **changes))
    assert (answer.status_code, sentence in answer.text) == (status, True), answer.text


async def test_an_override_of_a_colleague_meanwhile_is_seen(office, superuser, customer):
    form = await superuser.browser.look("override-limit", **_override(customer))
    await superuser.browser.act("override-limit", **_override(customer, amount="700"))
    late = await superuser.browser.post("/actions/override-limit", {**form, "reason": "late"})
    assert (late.status_code, "has changed since you looked" in late.text) == (409, True)
    assert (await _hour(office, customer)).amount == 700


async def test_spend_caps_are_set_and_taken_off(office, superuser, customer):
    organization = customer.organization
    seen = await superuser.browser.preview("set-spend-caps", organization=organization.slug, day="2.5", month="100")
    assert "<td>Most credits of a UTC day</td><td>no cap</td><td><strong>2.5</strong></td>" in seen.text
    await superuser.browser.act("set-spend-caps", organization=organization.slug, day="2.5", month="100")
    done = await superuser.browser.act("set-spend-caps", "asked for", organization=organization.slug, day="none")
    assert done.status_code == 200, done.text
    held = await organizations.fetch_organization(office.pool, organization.id)
    assert (held.spend_cap_day_micro, held.spend_cap_month_micro) == (None, 100_000_000)
    entries = await written(office, organization.id, "spend_cap.change")
    assert (entries[1].before["day_micro"], entries[1].after["day_micro"]) == (2_500_000, None)
    again = await superuser.browser.act("set-spend-caps", organization=organization.slug, month="100")
    assert (again.status_code, "stand already" in again.text) == (409, True)


async def _older_terms(office, customer, connection):
    """Another organization of the plan that keeps older terms, since its price was changed meanwhile."""
    await plans.change(connection, customer.plan, price_cents=1_200)
    newer = await organizations.create(connection, name=fresh("Newer"), plan_slug=customer.plan)
    held = await fetch_subscription(office.pool, customer.organization.id)
    assert held.plan_version_id is not None
    return newer


async def _terms(office, organization_id):
    held = await fetch_subscription(office.pool, organization_id)
    return await terms_of(office.pool, held.plan_id, held.plan_version_id)


async def test_a_limit_in_shadow_is_so_for_everybody_and_nothing_else_changes(office, superuser, customer, connection):
    newer = await _older_terms(office, customer, connection)
    before = await _terms(office, customer.organization.id)
    values = {"plan": customer.plan, "limit": "hour"}
    seen = await superuser.browser.preview("shadow-limit", **values)
    assert "for 2 live subscriptions of" in seen.text
    assert "1 of them on older terms" in seen.text
    assert (
        "<td>Limit hour of 100 requests an hour</td><td>enforced</td><td><strong>only counted</strong></td>"
        in seen.text
    )
    done = await superuser.browser.act("shadow-limit", "false alarms", **values)
    assert done.status_code == 200, done.text
    for organization_id in (customer.organization.id, newer.id):
        limits = {limit.name: limit.shadow for limit in (await _terms(office, organization_id)).limits}
        assert limits == {"hour": True, "day": False}
    after = await _terms(office, customer.organization.id)
    assert (after.price_cents, after.limits[0].id) == (before.price_cents, before.limits[0].id)
    again = await superuser.browser.act("shadow-limit", **values)
    assert (again.status_code, "is only counted already" in again.text) == (409, True)
    assert (await superuser.browser.act("enforce-limit", "all is well", **values)).status_code == 200
    assert await _terms(office, customer.organization.id) == before
    assert not (await _terms(office, newer.id)).limits[0].shadow
    entries = await written(office, customer.plan)
    assert [(entry.verb, entry.after["shadow"], entry.reason) for entry in entries] == [
        ("plan.shadow_limit", True, "false alarms"),
        ("plan.enforce_limit", False, "all is well"),
    ]


async def test_who_has_an_own_word_on_the_limit_is_counted(office, superuser, customer):
    await superuser.browser.act("override-limit", **_override(customer, amount="", counted="no"))
    seen = await superuser.browser.preview("shadow-limit", plan=customer.plan, limit="hour")
    assert "1 organization has an override that says otherwise" in seen.text


async def test_a_limit_that_is_none_is_told(office, superuser, customer):
    answer = await superuser.browser.act("shadow-limit", plan=customer.plan, limit="week")
    assert (answer.status_code, "it has: day, hour." in answer.text) == (404, True)


async def test_of_two_who_shadow_a_limit_at_once_one_does(office, superuser, customer):
    values = {"plan": customer.plan, "limit": "hour"}
    forms = [await superuser.browser.look("shadow-limit", **values) for _ in range(3)]
    answers = await asyncio.gather(
        *(superuser.browser.post("/actions/shadow-limit", {**form, "reason": "race"}) for form in forms)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert len(await written(office, customer.plan)) == 1


async def test_a_shadow_does_not_depend_on_what_else_the_plan_has(office, superuser, connection):
    slug = fresh("many")
    await plans.create(connection, slug=slug, limits=parse_limits(["1/second", "2/minute per key", "3 concurrent"]))
    assert (await superuser.browser.act("shadow-limit", plan=slug, limit="concurrent")).status_code == 200
    limits = {limit.name: limit.shadow for limit in (await plans.fetch_plan(office.pool, slug)).limits}
    assert limits == {"second": False, "minute-key": False, "concurrent": True}
