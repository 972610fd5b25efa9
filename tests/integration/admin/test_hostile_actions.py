"""An operator who wants more of an action than was previewed, and two operators at the same moment."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from domain import plans
from domain.identity.deletion import delete_due
from domain.limit_texts import parse_limits
from tests.audited import written
from tests.integration.admin.acting import Faces, link_of
from tests.portals import running_portal
from tests.subscriptions import fresh


@pytest.fixture
async def faces(office):
    """The back office with a portal beside it."""
    async with running_portal(office.settings) as portal:
        yield Faces(office, portal)


async def test_what_was_previewed_for_one_organization_is_not_done_to_another_of_the_same_name(office):
    finance = await office.operator("finance")
    one, other = await office.organization("Twins"), await office.organization("Twins")
    fields = await finance.browser.look("grant-credits", organization=one.slug, credits="5", kind="bonus", said="Hello")
    changed = {**fields, "organization": other.slug, "reason": "a gift"}
    answer = await finance.browser.post("/actions/grant-credits", changed)
    assert answer.status_code == 409
    assert "Look again" in answer.text
    assert await written(office, other.id, "credits.grant") == []
    done = await finance.browser.post("/actions/grant-credits", {**fields, "reason": "a gift"})
    assert done.status_code == 200, done.text
    assert len(await written(office, one.id, "credits.grant")) == 1


async def test_a_value_that_the_preview_does_not_tell_cannot_be_another_one_when_it_is_done(office, superuser):
    organization = await office.organization()
    fields = await superuser.browser.look("mint-key", organization=organization.slug, name="Theirs", environment="live")
    changed = {**fields, "name": "Somebody else's", "reason": "a test"}
    answer = await superuser.browser.post("/actions/mint-key", changed)
    assert answer.status_code == 409
    assert await written(office, organization.id, "key.create") == []


@pytest.mark.parametrize("typed", ["\uff29\uff2e\uff36-{}", "i\u0301nv-{}", "INV\ufe0f-{}"])
async def test_a_payment_is_booked_once_whatever_characters_its_reference_is_typed_with(office, typed):
    finance, organization = await office.operator("finance"), await office.organization()
    plain = "\u00cdNV-{}" if "\u0301" in typed else "INV-{}"
    number = organization.slug[-8:].upper()
    values = {"organization": organization.slug, "credits": "10", "paid": "10.00 EUR"}
    first = await finance.browser.act("book-payment", reference=plain.format(number), **values)
    assert first.status_code == 200, first.text
    again = await finance.browser.act("book-payment", reference=typed.format(number), **values)
    assert again.status_code in (409, 422), again.text
    booked = "select count(*) from credit_entry where organization_id = $1 and type = 'purchase'"
    assert await office.pool.fetchval(booked, organization.id) == 1


async def test_of_two_operators_who_suspend_at_once_one_did_it(office):
    operator, organization = await office.operator("support"), await office.organization()
    fields = await operator.browser.look("suspend-organization", organization=organization.slug)
    async with office.pool.acquire() as connection:
        async with connection.transaction():
            await connection.execute("update organization set state = 'suspended' where id = $1", organization.id)
            late = asyncio.create_task(
                operator.browser.post("/actions/suspend-organization", {**fields, "reason": "the second of two"})
            )
            await _until_somebody_waits(connection)
        answer = await late
    assert answer.status_code == 409
    assert await written(office, organization.id, "organization.suspend") == []


async def test_the_audit_says_what_somebody_was_before_their_second_appointment_at_once(office, superuser):
    user_id, email = await office.user()
    fields = await superuser.browser.look("appoint-operator", user=email, role="admin")
    async with office.pool.acquire() as connection:
        async with connection.transaction():
            await connection.fetch("select id from users where operator_role = 'superuser' order by id for update")
            late = asyncio.create_task(
                superuser.browser.post("/actions/appoint-operator", {**fields, "reason": "more"})
            )
            await _until_somebody_waits(connection)
            await connection.execute("update users set operator_role = 'analyst', admin = true where id = $1", user_id)
        await late
    before = await office.pool.fetchval(
        "select before ->> 'role' from audit_entry where verb = 'operator.appoint' and object_id = $1", str(user_id)
    )
    assert before == "analyst"


async def test_a_link_to_act_dies_with_the_session_that_asked_for_it(faces, superuser):
    operator, organization = await faces.office.operator("admin"), await faces.office.organization()
    path = await link_of(operator.browser, organization.slug, faces.portal, may_change="yes")
    ended = await superuser.browser.act("end-operator-sessions", "a stolen laptop", user=operator.email)
    assert ended.status_code == 200, ended.text
    thief = faces.portal.browser()
    assert (await thief.get(path)).status_code == 403
    assert (await thief.post(path)).status_code == 403
    assert (await thief.get(f"/o/{organization.slug}")).status_code == 303


async def test_the_customer_sees_that_acting_ended_when_the_operator_was_signed_out_everywhere(faces, superuser):
    operator, organization = await faces.office.operator("support"), await faces.office.organization()
    browser = await faces.acting(operator, organization.slug)
    assert (await browser.get(f"/o/{organization.slug}")).status_code == 200
    ended = await superuser.browser.act("sign-out-user", "a stolen laptop", email=operator.email)
    assert ended.status_code == 200, ended.text
    assert (await browser.get(f"/o/{organization.slug}")).status_code == 303
    assert len(await written(faces.office, organization.id, "operator.act_end")) == 1


async def test_an_operator_whose_account_was_to_be_deleted_before_the_appointment_stays(office, superuser):
    user_id, email = await office.user()
    past = datetime.now(UTC) - timedelta(days=1)
    await office.pool.execute("update users set deletes_at = $2 where id = $1", user_id, past)
    await superuser.browser.act("appoint-operator", user=email, role="superuser")
    async with office.pool.acquire() as connection:
        await delete_due(connection, office.settings.secrets, datetime.now(UTC))
    assert await office.pool.fetchval("select true from users where id = $1", user_id)


async def test_who_may_not_book_money_begins_no_new_period_for_who_has_not_paid_the_last(office, superuser):
    support, organization = await office.operator("support"), await office.organization()
    paid, free = fresh("paid"), fresh("free")
    for slug, cents in ((paid, 4_900), (free, 0)):
        async with office.pool.acquire() as connection:
            await plans.create(connection, slug=slug, limits=parse_limits(["9/hour"]), price_cents=cents)
    await superuser.browser.act("change-plan", organization=organization.slug, plan=paid)
    await office.pool.execute(
        "update subscription set state = 'past_due', grace_until = now() + interval '3 days' where organization_id = $1",
        organization.id,
    )
    ended = await support.browser.act("cancel-subscription", organization=organization.slug, ends="now")
    assert ended.status_code == 200, ended.text
    begun = await support.browser.act("change-plan", organization=organization.slug, plan=paid)
    assert begun.status_code == 403, begun.text
    assert (await support.browser.act("change-plan", organization=organization.slug, plan=free)).status_code == 200


async def test_the_audit_says_who_gives_credits_to_an_organization_of_their_own(office):
    finance, organization, other = (
        await office.operator("finance"),
        await office.organization(),
        await office.organization(),
    )
    await office.join(finance.user_id, organization.id, "viewer")
    values = {"credits": "5", "kind": "bonus", "said": "Hello"}
    seen = await finance.browser.preview("grant-credits", organization=organization.slug, **values)
    assert "You belong to" in seen.text
    for one in (organization, other):
        done = await finance.browser.act("grant-credits", organization=one.slug, **values)
        assert done.status_code == 200, done.text
    [own], [others] = [await written(office, one.id, "credits.grant") for one in (organization, other)]
    assert own.after["to_own_organization"] is True
    assert "to_own_organization" not in others.after


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
async def test_a_moment_outside_of_the_calendar_is_a_mistake_of_the_form(office, superuser, at):
    organization = await office.organization()
    values = {"organization": organization.slug, "credits": "1", "kind": "bonus", "said": "Hello"}
    answer = await superuser.browser.preview("grant-credits", expires_at=at, **values)
    assert answer.status_code == 422
    assert "Write a day and a time" in answer.text


async def _until_somebody_waits(connection) -> None:
    """Until another transaction waits for a lock of this connection's."""
    for _ in range(200):
        waits = "select count(*) from pg_locks where not granted and pg_backend_pid() = any(pg_blocking_pids(pid))"
        if await connection.fetchval(waits):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("Nobody came to wait.")
