"""Invitations: mailed once, opened by the address alone, accepted once, bounded."""

import asyncio
import json
import secrets

import pytest

from domain import invitations
from domain.mail_texts import render
from domain.outbox import values_of
from tests.portals import PASSWORD

HOSTILE = ["", "nobody", "a@b", "a b@example.com", "a@example.com\r\nBcc: x@example.com", "a@example.com,b@example.com"]


def address() -> str:
    return f"guest-{secrets.token_hex(5)}@example.com"


async def mailed(portal, email: str) -> list[str]:
    """The tokens that were mailed to an address, oldest first."""
    rows = await portal.pool.fetch(
        "select id, template, content from outbox_message where recipient = $1 order by created_at", email
    )
    assert {row["template"] for row in rows} <= {"invitation"}
    links = [values_of(portal.settings.secrets, row["id"], row["content"])["link"] for row in rows]
    return [link.removeprefix(f"{portal.settings.portal.base_url}/invitations/") for link in links]


async def guest_of(portal, email: str, *, verified: bool = False):
    user_id, _ = await portal.user(email, verified=verified)
    return user_id, await portal.sign_in(user_id)


async def test_an_invitation_by_mail_is_accepted_and_proves_the_address(portal, owner):
    email = address()
    answer = await owner.browser.post(f"{owner.root}/team/invitations", {"email": email.upper(), "role": "developer"})
    assert answer.headers["location"] == f"{owner.root}/team?done=invited"
    page = await owner.browser.get(f"{owner.root}/team")
    assert email in page.text
    [token] = await mailed(portal, email)
    assert token not in page.text
    user_id, browser = await guest_of(portal, email)
    looked = await browser.get(f"/invitations/{token}")
    assert looked.status_code == 200
    assert owner.organization.name in looked.text
    members = "select role from membership where organization_id = $1 and user_id = $2"
    assert await portal.pool.fetchval(members, owner.organization.id, user_id) is None
    joined = await browser.post(f"/invitations/{token}")
    assert joined.headers["location"] == f"{owner.root}/team?done=invitation_accepted"
    assert await portal.pool.fetchval(members, owner.organization.id, user_id) == "developer"
    assert await portal.pool.fetchval("select email_verified_at is not null from users where id = $1", user_id)
    assert (await browser.post(f"/invitations/{token}")).status_code == 404


async def test_nobody_is_led_to_sign_in_and_back(portal, owner):
    email = address()
    await owner.browser.api("POST", "/team/invitations", json={"email": email, "role": "viewer"})
    [token] = await mailed(portal, email)
    page = await portal.browser().get(f"/invitations/{token}")
    assert page.status_code == 200
    assert f'href="/sign-in?next=/invitations/{token}"' in page.text
    assert f'href="/sign-up?next=/invitations/{token}"' in page.text


async def test_somebody_else_is_told_for_whom_it_is_and_cannot_take_it(portal, owner):
    email = address()
    await owner.browser.api("POST", "/team/invitations", json={"email": email, "role": "admin"})
    [token] = await mailed(portal, email)
    thief = await portal.person()
    page = await thief.browser.get(f"/invitations/{token}")
    assert f"You are signed in as {thief.email}" in page.text
    assert "Join " + owner.organization.name + "</button>" not in page.text
    assert (await thief.browser.post(f"/invitations/{token}")).status_code == 403
    call = await thief.browser.api("POST", "/team/invitations/accept", json={"token": token})
    assert (call.status_code, call.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("token", ["x", "0" * 43, "%00", "..%2f..", "a" * 3000])
async def test_a_token_that_is_none_is_not_found(owner, token):
    assert (await owner.browser.get(f"/invitations/{token}")).status_code == 404
    assert (await owner.browser.post(f"/invitations/{token}")).status_code == 404


async def test_sending_again_makes_the_old_link_void(portal, owner):
    email = address()
    made = (await owner.browser.api("POST", "/team/invitations", json={"email": email, "role": "viewer"})).json()
    answer = await owner.browser.post(f"{owner.root}/team/invitations/{made['id']}/resend")
    assert answer.headers["location"].endswith("done=invitation_sent_again")
    old, new = await mailed(portal, email)
    _, browser = await guest_of(portal, email)
    assert (await browser.get(f"/invitations/{old}")).status_code == 404
    call = await browser.api("POST", "/team/invitations/accept", json={"token": new})
    assert call.json() == {"organization": owner.organization.slug, "role": "viewer"}


@pytest.mark.parametrize("end", ["withdrawn", "expired", "closed"])
async def test_what_is_not_open_cannot_be_accepted(portal, owner, end):
    email = address()
    made = (await owner.browser.api("POST", "/team/invitations", json={"email": email, "role": "viewer"})).json()
    [token] = await mailed(portal, email)
    if end == "withdrawn":
        assert (await owner.browser.api("DELETE", f"/team/invitations/{made['id']}")).status_code == 204
        assert (await owner.browser.api("DELETE", f"/team/invitations/{made['id']}")).status_code == 404
    elif end == "expired":
        await portal.pool.execute("update invitation set expires_at = now() where id = $1::uuid", made["id"])
        again = await owner.browser.api("POST", "/team/invitations", json={"email": email, "role": "viewer"})
        assert again.status_code == 201
    else:
        await portal.pool.execute("update organization set state = 'closed' where id = $1", owner.organization.id)
    _, browser = await guest_of(portal, email)
    assert (await browser.post(f"/invitations/{token}")).status_code == 404


async def test_a12_an_invitation_that_is_accepted_twice_at_once_joins_once(portal, owner):
    email = address()
    await owner.browser.api("POST", "/team/invitations", json={"email": email, "role": "viewer"})
    [token] = await mailed(portal, email)
    _, browser = await guest_of(portal, email)
    calls = await asyncio.gather(
        *(browser.api("POST", "/team/invitations/accept", json={"token": token}) for _ in range(5))
    )
    assert sorted(call.status_code for call in calls) == [200, 404, 404, 404, 404]
    joined = await portal.pool.fetchval(
        "select count(*) from audit_entry where organization_id = $1 and verb = 'member.join'", owner.organization.id
    )
    assert joined == 1


async def test_a12_one_address_is_invited_once_however_many_ask(portal, owner):
    email = address()
    body = {"email": email, "role": "viewer"}
    calls = await asyncio.gather(*(owner.browser.api("POST", "/team/invitations", json=body) for _ in range(4)))
    assert sorted(call.status_code for call in calls) == [201, 409, 409, 409]
    assert len(await mailed(portal, email)) == 1


@pytest.mark.parametrize("email", HOSTILE)
async def test_what_is_no_address_is_refused_beside_what_was_written(owner, email):
    page = await owner.browser.post(f"{owner.root}/team/invitations", {"email": email, "role": "viewer"})
    assert page.status_code == 422
    assert "That is no e-mail address." in page.text
    call = await owner.browser.api("POST", "/team/invitations", json={"email": email, "role": "viewer"})
    assert call.status_code == 422


async def test_members_are_not_invited_and_nobody_as_owner(owner):
    body = {"email": owner.email, "role": "viewer"}
    assert (await owner.browser.api("POST", "/team/invitations", json=body)).status_code == 409
    body = {"email": address(), "role": "owner"}
    assert (await owner.browser.api("POST", "/team/invitations", json=body)).status_code == 422
    assert (await owner.browser.post(f"{owner.root}/team/invitations", body)).status_code == 422


async def test_an_address_that_is_not_verified_and_a_suspended_organization_mail_nobody(portal, owner):
    body = {"email": address(), "role": "viewer"}
    await portal.pool.execute("update users set email_verified_at = null where id = $1", owner.user_id)
    assert (await owner.browser.api("POST", "/team/invitations", json=body)).status_code == 403
    await portal.pool.execute("update users set email_verified_at = now() where id = $1", owner.user_id)
    await portal.pool.execute("update organization set state = 'suspended' where id = $1", owner.organization.id)
    assert (await owner.browser.api("POST", "/team/invitations", json=body)).status_code == 409


async def test_at_most_twenty_mails_an_hour_leave_resent_ones_and_other_organizations_counted(portal, owner):
    for _ in range(invitations.MAILS_AN_HOUR // 4):
        invited = {"email": address(), "role": "viewer"}
        made = (await owner.browser.api("POST", "/team/invitations", json=invited)).json()
        for _ in range(3):
            assert (await owner.browser.api("POST", f"/team/invitations/{made['id']}/resend")).status_code == 200
    call = await owner.browser.api("POST", "/team/invitations", json={"email": address(), "role": "viewer"})
    assert (call.status_code, call.json()["code"]) == (429, "too_many_tries")
    assert call.headers["retry-after"] == "3600"
    page = await owner.browser.post(f"{owner.root}/team/invitations", {"email": address(), "role": "viewer"})
    assert page.status_code == 429
    other = await portal.organization()
    await portal.join(owner.user_id, other.id, "owner")
    elsewhere = await owner.browser.api(
        "POST",
        "/team/invitations",
        json={"email": address(), "role": "viewer"},
        headers={"pe-organization": other.slug},
    )
    assert elsewhere.status_code == 429


async def test_at_most_fifty_are_open(portal, owner):
    await portal.pool.execute(
        "insert into invitation (organization_id, email, role, token_digest, expires_at)"
        " select $1, 'n' || n || '@example.com', 'viewer', sha256(gen_random_uuid()::text::bytea),"
        " now() + interval '1 day' from generate_series(1, 50) as n",
        owner.organization.id,
    )
    call = await owner.browser.api("POST", "/team/invitations", json={"email": address(), "role": "viewer"})
    assert call.status_code == 409
    assert "50 open invitations" in call.json()["detail"]


async def test_invitations_of_others_do_not_exist(portal, owner):
    stranger = await portal.person()
    made = (await owner.browser.api("POST", "/team/invitations", json={"email": address(), "role": "viewer"})).json()
    path = f"/team/invitations/{made['id']}"
    assert (await stranger.browser.api("DELETE", path)).status_code == 404
    assert (await stranger.browser.api("POST", f"{path}/resend")).status_code == 404
    for act in ("resend", "withdraw"):
        assert (await stranger.browser.post(f"{stranger.root}{path}/{act}")).status_code == 404
        assert (await stranger.browser.post(f"{owner.root}{path}/{act}")).status_code == 404
    assert (await owner.browser.get("/api/team/invitations")).json()["data"] == [made]


async def test_an_invitation_that_is_created_twice_under_one_key_is_one(owner):
    body, key = {"email": address(), "role": "viewer"}, {"idempotency-key": secrets.token_hex(8)}
    first, again = [
        await owner.browser.api("POST", "/team/invitations", json=body, headers=key) for _ in range(2)
    ]  # fmt: skip
    assert (first.status_code, again.status_code) == (201, 201)
    assert json.loads(first.text) == json.loads(again.text)


async def test_the_mail_says_who_invites_whom_to_what_and_hostile_words_stay_words(portal, owner):
    email = address()
    await owner.browser.post(f"{owner.root}/settings", {"name": "Win <a href=x> [now](http://evil.example)"})
    await owner.browser.api("POST", "/team/invitations", json={"email": email, "role": "viewer"})
    row = await portal.pool.fetchrow("select id, content from outbox_message where recipient = $1", email)
    mail = render("invitation", values_of(portal.settings.secrets, row["id"], row["content"]))
    assert mail.subject.startswith(f"{owner.email} invites you to Win")
    assert "<a href=x>" not in mail.html
    assert 'href="http://evil.example' not in mail.html
    assert f"{portal.settings.portal.base_url}/invitations/" in mail.text


async def test_who_signs_in_from_an_invitation_comes_back_to_it_and_joins(portal, owner):
    email = address()
    await owner.browser.api("POST", "/team/invitations", json={"email": email, "role": "viewer"})
    [token] = await mailed(portal, email)
    await portal.user(email)
    browser = portal.browser()
    await browser.get(f"/sign-in?next=/invitations/{token}")
    answer = await browser.post("/sign-in", {"email": email, "password": PASSWORD, "next": f"/invitations/{token}"})
    assert answer.headers["location"] == f"/invitations/{token}"
    joined = await browser.post(f"/invitations/{token}")
    assert joined.headers["location"] == f"{owner.root}/team?done=invitation_accepted"
