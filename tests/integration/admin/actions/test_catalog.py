"""Actions on what is sold: switched off and on again, a wrong edit undone for those whom it met and for nobody else."""

import asyncio

import pytest

from admin.actions import switching
from domain import operations, organizations, plans, services
from domain.as_code import history
from domain.as_code.applying import apply
from domain.as_code.appointing import Appointing
from domain.audit import Actor
from domain.ingesting.grains import EVERY
from domain.limit_texts import parse_limits
from domain.plan_prices import parse_price
from domain.plan_versions import read_terms, terms_of
from domain.subscription_rows import fetch_subscription
from tests.audited import written
from tests.portals import PLAN
from tests.subscriptions import fresh


@pytest.fixture
async def forecast(connection):
    """An operation at 1 credit of a service of its own."""
    slug = fresh("svc")
    await services.create(connection, slug=slug, prefix=f"/{slug}", upstreams=["http://127.0.0.1:8000"])
    return await operations.create(
        connection, service_slug=slug, method="GET", path_pattern="/f", name="forecast", price_micro=1_000_000
    )


async def test_who_calls_a_service_is_told_and_counted_no_longer_than_a_moment(
    office, superuser, forecast, customer, connection, monkeypatch
):
    slug = forecast.service_slug
    service_id = await connection.fetchval("select id from service where slug = $1", slug)
    await connection.executemany(
        "insert into usage_summary (organization_id, key_id, service_id, operation_id, bucket, grain, status_class, requests)"
        " values ($1, $2, $3, $2, now() - interval '2 hours', 'hour', 2, 7)",
        [(whose, EVERY, service_id) for whose in (EVERY, customer.organization.id)],
    )
    seen = await superuser.browser.preview("disable-service", service=slug)
    assert "In the last 24 hours 1 organization called it 7 times." in seen.text
    monkeypatch.setattr(
        switching, "_CALLERS", "select 1 + length(pg_sleep(5)::text) where $1::uuid <> $2 or $2 <> $3::uuid"
    )
    seen = await superuser.browser.preview("disable-service", service=slug)
    assert "it was called 7 times, by more organizations than are counted here" in seen.text


async def test_a_service_is_switched_off_and_on(office, superuser, forecast):
    slug = forecast.service_slug
    seen = await superuser.browser.preview("disable-service", service=slug)
    assert f"Requests to /{slug} (1 operation) are refused with 404 within a second" in seen.text
    assert "In the last 24 hours 0 organizations called it 0 times." in seen.text
    done = await superuser.browser.act("disable-service", "upstream is on fire", service=slug)
    assert done.status_code == 200, done.text
    assert not (await services.fetch_service(office.pool, slug)).enabled
    again = await superuser.browser.act("disable-service", service=slug)
    assert (again.status_code, "is switched off already" in again.text) == (409, True)
    assert (await superuser.browser.act("enable-service", "fire is out", service=slug)).status_code == 200
    assert (await services.fetch_service(office.pool, slug)).enabled
    entries = await written(office, slug)
    assert [(entry.verb, entry.before, entry.after, entry.reason) for entry in entries] == [
        ("service.disable", {"enabled": True}, {"enabled": False}, "upstream is on fire"),
        ("service.enable", {"enabled": False}, {"enabled": True}, "fire is out"),
    ]
    assert (await superuser.browser.act("disable-service", service="no-such")).status_code == 404


async def test_of_two_who_switch_a_service_off_at_once_one_does(office, superuser, forecast):
    forms = [await superuser.browser.look("disable-service", service=forecast.service_slug) for _ in range(3)]
    answers = await asyncio.gather(
        *(superuser.browser.post("/actions/disable-service", {**form, "reason": "race"}) for form in forms)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert len(await written(office, forecast.service_slug)) == 1


async def test_an_operation_is_switched_off_and_on_by_its_name_or_id(office, superuser, forecast):
    name = f"{forecast.service_slug} GET /f"
    assert (await superuser.browser.act("disable-operation", "too slow", operation=name)).status_code == 200
    assert not (await operations.fetch_operation(office.pool, forecast.id)).enabled
    done = await superuser.browser.act("enable-operation", operation=str(forecast.id))
    assert done.status_code == 200, done.text
    assert (await operations.fetch_operation(office.pool, forecast.id)).enabled
    assert [entry.verb for entry in await written(office, forecast.id)] == ["operation.disable", "operation.enable"]
    form = await superuser.browser.get("/actions/disable-operation")
    assert f'<option value="{name}">forecast</option>' in form.text
    answer = await superuser.browser.act("disable-operation", operation="no GET /such")
    assert (answer.status_code, "There is no operation no GET /such." in answer.text) == (404, True)


async def test_an_archived_plan_takes_nobody_and_keeps_who_has_it(office, superuser, customer):
    seen = await superuser.browser.preview("archive-plan", plan=customer.plan)
    assert "takes no new subscriptions; 1 live subscription and 0 that come to it" in seen.text
    assert (await superuser.browser.act("archive-plan", "replaced", plan=customer.plan)).status_code == 200
    assert not (await plans.fetch_plan(office.pool, customer.plan)).active
    assert (await fetch_subscription(office.pool, customer.organization.id)).live
    again = await superuser.browser.act("archive-plan", plan=customer.plan)
    assert (again.status_code, "is archived already" in again.text) == (409, True)
    assert (await superuser.browser.act("reopen-plan", plan=customer.plan)).status_code == 200
    assert [entry.verb for entry in await written(office, customer.plan)] == ["plan.archive", "plan.reopen"]


async def test_the_plan_that_sign_ups_begin_on_is_not_archived(office, superuser):
    await office.organization()
    answer = await superuser.browser.act("archive-plan", plan=PLAN)
    assert (answer.status_code, "nobody could sign up any more" in answer.text) == (409, True)


async def _terms(office, organization):
    held = await fetch_subscription(office.pool, organization.id)
    return await terms_of(office.pool, held.plan_id, held.plan_version_id)


async def _wrongly_edited(connection, customer, forecast):
    """The plan after an edit that was a mistake, and somebody who subscribed to that."""
    await plans.change(
        connection,
        customer.plan,
        price_cents=100_000,
        trial_days=3,
        limits=parse_limits(["1/hour", "5/minute per key"]),
        prices=[parse_price(f"{forecast.service_slug}:forecast=50")],
    )
    return await organizations.create(connection, name=fresh("Met"), plan_slug=customer.plan)


@pytest.mark.parametrize("begins", ["now", "period-end"])
async def test_a_wrong_edit_of_a_plan_is_undone_in_one_action(
    office, superuser, customer, connection, forecast, begins
):
    plan = await plans.fetch_plan(connection, customer.plan)
    right = await read_terms(connection, plan.id)
    met = await _wrongly_edited(connection, customer, forecast)
    wrong = await _terms(office, met)
    values = {"plan": customer.plan, "begins": begins}
    seen = await superuser.browser.preview("undo-plan-edit", **values)
    for row in (
        ("Price a month", "$1,000", "$10"),
        ("Trial", "3 days", "none"),
        ("Limit hour", "1 request an hour", "100 requests an hour"),
        ("Limit minute-key", "5 requests a minute for each key", "none"),
        ("Limit day", "none", "1,000 requests a day"),
        (f"Price of {forecast.service_slug} GET /f", "50", "1"),
    ):
        assert f"<td>{row[0]}</td><td>{row[1]}</td><td><strong>{row[2]}</strong></td>" in seen.text, row
    assert "for 1 live subscription that follows the plan" in seen.text
    assert "1 subscription keeps these terms anyway" in seen.text
    done = await superuser.browser.act("undo-plan-edit", "typed a zero too many", **values)
    assert done.status_code == 200, done.text
    assert await read_terms(connection, plan.id) == right
    assert await _terms(office, customer.organization) == right
    assert await _terms(office, met) == (right if begins == "now" else wrong)
    [entry] = await written(office, customer.plan)
    assert (entry.verb, entry.before["price_cents"], entry.after["price_cents"], entry.reason) == (
        "plan.restore",
        100_000,
        1_000,
        "typed a zero too many",
    )
    again = await superuser.browser.preview("undo-plan-edit", **values)
    if begins == "now":
        assert (again.status_code, "Nothing is to be undone" in again.text) == (409, True)
    else:  # what was sold by mistake is kept for who has it, and can be looked at
        assert "<td>Price a month</td><td>$10</td><td><strong>$1,000</strong></td>" in again.text


async def test_a_shadow_in_between_is_not_what_an_edit_is_undone_to(office, superuser, customer, connection):
    plan = await plans.fetch_plan(connection, customer.plan)
    right = await read_terms(connection, plan.id)
    await plans.change(connection, customer.plan, price_cents=5)
    for slug in ("shadow-limit", "enforce-limit"):
        assert (await superuser.browser.act(slug, plan=customer.plan, limit="hour")).status_code == 200
    assert (await superuser.browser.act("undo-plan-edit", plan=customer.plan)).status_code == 200
    assert await read_terms(connection, plan.id) == right


async def test_a_plan_without_earlier_terms_or_such_a_version_is_told(office, superuser, customer, connection):
    answer = await superuser.browser.act("undo-plan-edit", plan=customer.plan)
    assert (answer.status_code, "No earlier terms of this plan are kept" in answer.text) == (404, True)
    await plans.change(connection, customer.plan, price_cents=5)
    answer = await superuser.browser.act("undo-plan-edit", plan=customer.plan, version="7")
    assert (answer.status_code, "has no version 7; it has 1 to 1." in answer.text) == (404, True)


async def test_an_edit_of_a_colleague_meanwhile_is_seen(office, superuser, customer, connection):
    await plans.change(connection, customer.plan, price_cents=5)
    form = await superuser.browser.look("undo-plan-edit", plan=customer.plan, version="1", begins="now")
    await plans.change(connection, customer.plan, price_cents=7)
    late = await superuser.browser.post("/actions/undo-plan-edit", {**form, "reason": "late"})
    assert (late.status_code, "has changed since you looked" in late.text) == (409, True)
    assert (await plans.fetch_plan(office.pool, customer.plan)).price_cents == 7


async def test_an_applied_file_is_gone_back_to(office, superuser, customer, connection):
    file = f"version: 1\nplans:\n  {customer.plan}:\n    price_cents: {{}}\n    description: {{}}\n"
    first = await apply(connection, file.format(1_100, "right"), Actor())
    await apply(connection, file.format(9_900, "wrong"), Actor())
    seen = await superuser.browser.preview("undo-configuration", config=str(first.applied_id))
    assert f"<td>plan {customer.plan}: price_cents</td><td>9900</td><td><strong>1100</strong></td>" in seen.text
    assert f"<td>plan {customer.plan}: description</td><td>wrong</td><td><strong>right</strong></td>" in seen.text
    done = await superuser.browser.act("undo-configuration", "wrong file", config=str(first.applied_id))
    assert done.status_code == 200, done.text
    plan = await plans.fetch_plan(office.pool, customer.plan)
    assert (plan.price_cents, plan.description) == (1_100, "right")
    entries = await written(office, customer.plan, "config.rollback")
    assert [(entry.before["price_cents"], entry.reason) for entry in entries] == [("9900", "wrong file")]
    assert (await history.latest(office.pool)).summary["kind"] == "rollback"
    again = await superuser.browser.act("undo-configuration", config=str(first.applied_id))
    assert (again.status_code, "Nothing is to be undone" in again.text) == (409, True)
    listed = await superuser.browser.get("/actions/undo-configuration")
    assert f"rollback by {superuser.email}, 1 change" in listed.text


async def test_who_gets_a_role_back_is_seen_however_much_else_is_gone_back_to(
    office, superuser, customer, connection, monkeypatch
):
    """A file of the history may name somebody who was dismissed since."""
    monkeypatch.setattr("admin.actions.undoing.SHOWN", 1)
    appointing, email = Appointing(office.settings), f"{fresh('mallory')}@example.com"
    await connection.execute(
        "insert into users (username, email, password, active, email_verified_at) values ($1, $1, 'a', true, now())",
        email,
    )
    file = 'plans: {%s: {description: %s}}\noperators: {"%s": {role: %s}, "%s": {role: superuser}}'
    first, _ = [
        await apply(
            connection, file % (customer.plan, word, email, role, superuser.email), Actor(), appointing=appointing
        )
        for word, role in (("right", "support"), ("wrong", "none"))
    ]
    seen = await superuser.browser.preview("undo-configuration", config=str(first.applied_id), operators="yes")
    assert f"operator {email}: role" in seen.text
    assert "and 1 more differences" in seen.text


async def test_who_was_dismissed_stays_so_where_prices_are_gone_back_to(office, superuser, customer, connection):
    """Every earlier file names them: nobody is to get a role by the undoing of a wrong price."""
    appointing, email = Appointing(office.settings), f"{fresh('left')}@example.com"
    await connection.execute(
        "insert into users (username, email, password, active, email_verified_at) values ($1, $1, 'a', true, now())",
        email,
    )
    file = 'plans: {%s: {price_cents: %d}}\noperators: {"%s": {role: %s}}'
    first, _ = [
        await apply(connection, file % (customer.plan, price, email, role), Actor(), appointing=appointing)
        for price, role in ((11, "admin"), (99, "none"))
    ]
    role = "select operator_role from users where email = $1"
    wanted = {"config": str(first.applied_id)}
    assert (await superuser.browser.act("undo-configuration", **wanted)).status_code == 200
    assert (await plans.fetch_plan(office.pool, customer.plan)).price_cents == 11
    assert await connection.fetchval(role, email) is None
    admin = await office.operator("admin")
    refused = await admin.browser.act("undo-configuration", **wanted, operators="yes")
    assert (refused.status_code, "who is an operator" in refused.text) == (403, True)
    assert (await superuser.browser.act("undo-configuration", **wanted, operators="yes")).status_code == 200
    assert await connection.fetchval(role, email) == "admin"
