"""Actions on people: an account with a link that works, mails, sessions and second factors that end."""

from html import unescape

import pyotp
import pytest

from domain.passwords import verify_password
from tests.audited import written
from tests.mailboxes import link_to, mails_to, new_email, stranger
from tests.portals import PASSWORD, running_portal


async def _user_id(office, email):
    return await office.pool.fetchval("select id from users where email = $1", email)


async def test_a_new_user_chooses_a_password_by_the_mailed_link(office, superuser):
    email = new_email()
    seen = await superuser.browser.preview("create-user", email=email.upper())
    assert f"{email} gets an account" in seen.text
    assert await _user_id(office, email) is None
    done = await superuser.browser.act("create-user", "asked by phone", email=email.upper(), name="Ada Lovelace")
    assert done.status_code == 200, done.text
    [(template, values)] = await mails_to(office, email)
    assert (template, values["days"]) == ("account_made", "7")
    user_id = await _user_id(office, email)
    [entry] = await written(office, user_id)
    assert (entry.verb, entry.reason, entry.after["name"]) == ("account.create", "asked by phone", "Ada Lovelace")
    assert f"/users/{user_id}" in done.text
    async with running_portal(office.settings) as portal:
        answer = await portal.browser().post(
            await link_to(portal, email, "account_made"), {"password": PASSWORD, "password2": PASSWORD}
        )
        assert answer.status_code == 303, answer.text
    row = await office.pool.fetchrow("select active, password, first_name from users where id = $1", user_id)
    assert row["active"]
    assert row["first_name"] == "Ada Lovelace"
    assert await verify_password(row["password"], PASSWORD)


async def test_a_user_who_is_there_is_not_made_again(office, superuser):
    _, email = await office.user()
    answer = await superuser.browser.act("create-user", email=email)
    assert answer.status_code == 409
    assert f"There is a user {email} already." in answer.text
    answer = await superuser.browser.act("create-user", email="nobody at home")
    assert answer.status_code == 422
    assert "does not look like an e-mail address" in answer.text


async def test_a_new_user_may_get_a_seat_in_an_organization(office, superuser):
    organization, email = await office.organization(), new_email()
    values = {"email": email, "organization": organization.slug, "role": "billing"}
    seen = await superuser.browser.preview("create-user", **values)
    assert f"belongs to {organization.name} as billing" in unescape(seen.text)
    assert (await superuser.browser.act("create-user", **values)).status_code == 200
    user_id = await _user_id(office, email)
    role = await office.pool.fetchval("select role from membership where user_id = $1", user_id)
    assert role == "billing"
    assert {entry.verb for entry in await written(office, user_id)} == {"account.create", "member.join"}
    support = await office.operator("support")
    values = {"email": new_email(), "organization": organization.slug, "role": "owner"}
    assert (await support.browser.act("create-user", **values)).status_code == 403, "no way into a customer's house"
    empty = await office.organization()
    assert (await support.browser.act("create-user", **{**values, "organization": empty.slug})).status_code == 200
    answer = await superuser.browser.act("create-user", email=new_email(), organization="no-such")
    assert answer.status_code == 404


async def test_of_two_who_create_the_same_user_the_second_is_told(office, superuser):
    email = new_email()
    form = await superuser.browser.look("create-user", email=email)
    await superuser.browser.act("create-user", email=email)
    late = await superuser.browser.post("/actions/create-user", {**form, "reason": "too late"})
    assert late.status_code == 409
    assert "already" in late.text
    assert len(await mails_to(office, email)) == 1


async def test_the_confirmation_is_sent_again_to_who_waits_and_to_nobody_else(office, superuser):
    email = new_email()
    await superuser.browser.act("create-user", email=email)
    done = await superuser.browser.act("resend-confirmation", "mail got lost", email=email)
    assert done.status_code == 200
    assert [template for template, _ in await mails_to(office, email)] == ["account_made", "account_made"]
    sent = await written(office, await _user_id(office, email), "account.send_link")
    assert [entry.reason for entry in sent] == ["mail got lost"]
    _, confirmed = await office.user()
    answer = await superuser.browser.act("resend-confirmation", email=confirmed)
    assert answer.status_code == 409
    assert "waits for no link: the account is confirmed on" in answer.text
    assert (await superuser.browser.act("resend-confirmation", email=new_email())).status_code == 404


async def test_who_signed_up_gets_the_link_of_the_sign_up_again(office, superuser):
    email = new_email()
    async with running_portal(office.settings) as portal:
        form = {"email": email, "password": PASSWORD, "password2": PASSWORD, "organization": "Lost Mail"}
        answer = await stranger(portal).post("/sign-up", form)
    assert answer.headers["location"] == "/sign-up/sent"
    assert (await superuser.browser.act("resend-confirmation", email=email)).status_code == 200
    assert [template for template, _ in await mails_to(office, email)] == ["verify_email", "verify_email"]


async def test_signing_out_everywhere_ends_all_sessions(office, superuser):
    user_id, email = await office.user()
    for _ in range(3):
        await office.sign_in(user_id)
    seen = await superuser.browser.preview("sign-out-user", email=email)
    assert "<td>3</td><td><strong>0</strong></td>" in seen.text
    done = await superuser.browser.act("sign-out-user", "laptop stolen", email=email)
    assert f"3 sessions of {email} ended." in done.text
    assert await office.pool.fetchval("select count(*) from portal_session where user_id = $1", user_id) == 0
    [entry] = await written(office, user_id)
    assert (entry.verb, entry.after, entry.reason) == (
        "account.end_all_sessions",
        {"sessions_ended": 3},
        "laptop stolen",
    )
    again = await superuser.browser.act("sign-out-user", email=email)
    assert "is signed in nowhere" in again.text


async def _with_factor(office):
    user_id, email = await office.user()
    await office.pool.execute(
        "insert into totp_factor (user_id, secret, confirmed_at) values ($1, $2, now())",
        user_id,
        pyotp.random_base32().encode(),
    )
    await office.pool.execute("insert into recovery_code (user_id, code_digest) values ($1, $2)", user_id, b"x" * 32)
    await office.sign_in(user_id)
    return user_id, email


async def test_a_reset_takes_factor_codes_and_sessions_and_tells_the_person(office):
    user_id, email = await _with_factor(office)
    admin = await office.operator("admin")
    seen = await admin.browser.preview("reset-factor", email=email)
    assert "<td>Second factor</td><td>in force</td><td><strong>none</strong></td>" in seen.text
    assert (await admin.browser.act("reset-factor", "phone lost", email=email)).status_code == 200
    left = await office.pool.fetchrow(
        "select (select count(*) from totp_factor where user_id = $1) as factors,"
        " (select count(*) from recovery_code where user_id = $1) as codes,"
        " (select count(*) from portal_session where user_id = $1) as sessions",
        user_id,
    )
    assert tuple(left) == (0, 0, 0)
    assert [template for template, _ in await mails_to(office, email)] == ["factor_reset"]
    [entry] = await written(office, user_id)
    assert (entry.verb, entry.before["second_factor"], entry.after["second_factor"]) == (
        "account.reset_factor",
        True,
        False,
    )
    again = await admin.browser.act("reset-factor", email=email)
    assert again.status_code == 409
    assert "No second factor" in again.text


@pytest.mark.parametrize("slug", ["reset-factor", "sign-out-user"])
async def test_an_operator_is_within_reach_of_superusers_only(office, slug):
    user_id, email = await _with_factor(office)
    await office.appoint(user_id, "analyst")
    admin, superuser = await office.operator("admin"), await office.operator("superuser")
    answer = await admin.browser.act(slug, email=email)
    assert answer.status_code == 403
    assert "These may: superuser" in answer.text
    assert (await superuser.browser.act(slug, email=email)).status_code == 200


async def test_nobody_resets_their_own_factor_here(office, superuser):
    answer = await superuser.browser.act("reset-factor", email=superuser.email)
    assert answer.status_code == 409
    assert "you switch off in your account" in answer.text
