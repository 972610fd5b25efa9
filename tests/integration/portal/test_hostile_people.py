"""Hostile members: what a role, a token or an invitation no longer gives after it was taken away, and what needs a proof."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from domain.forgetting import KINDS, ages, forget
from domain.identity.deletion import delete_due
from domain.random_tokens import digest_of
from tests.accounts import age_proof, bearer
from tests.mailboxes import mails_to, new_email
from tests.portals import Person, Portal

GRAVE = [("POST", "/team/transfer"), ("POST", "/organization/close")]


async def _open_invitations(portal: Portal, person: Person) -> int:
    return await portal.pool.fetchval(
        "select count(*) from invitation where organization_id = $1 and accepted_at is null and withdrawn_at is null",
        person.organization.id,
    )


@pytest.mark.parametrize(("method", "path"), GRAVE)
async def test_a_young_access_token_is_no_proof(portal: Portal, owner: Person, method, path):
    """A token proves nothing: what was copied a minute ago must not hand an organization over, nor close it."""
    other = await portal.person("viewer", owner.organization)
    body = {"user_id": other.user_id} if path == "/team/transfer" else {"confirmation": owner.organization.slug}
    fields = await bearer(portal, owner)
    answer = await portal.browser().client.request(method, f"/api{path}", json=body, headers=fields)
    assert (answer.status_code, answer.json()["code"]) == (403, "proof_needed")


async def test_to_make_an_owner_needs_the_same_proof_as_to_hand_over(portal: Portal, owner: Person):
    other = await portal.person("admin", owner.organization)
    await age_proof(portal, owner)
    page = await owner.browser.post(f"{owner.root}/team/{other.user_id}/role", {"role": "owner"})
    assert page.headers["location"].startswith("/prove?next=")
    answer = await owner.browser.api("PATCH", f"/team/{other.user_id}", {"role": "owner"})
    assert (answer.status_code, answer.json()["code"]) == (403, "proof_needed")
    assert (await owner.browser.api("PATCH", f"/team/{other.user_id}", {"role": "viewer"})).status_code == 200


async def test_who_may_no_longer_invite_has_no_open_invitations(portal: Portal, owner: Person):
    """An admin who is about to be demoted invites an accomplice as admin: that offer ends with the role."""
    admin = await portal.person("admin", owner.organization)
    await admin.browser.api("POST", "/team/invitations", {"email": "accomplice@example.com", "role": "admin"})
    await owner.browser.api("POST", "/team/invitations", {"email": "friend@example.com", "role": "admin"})
    assert await _open_invitations(portal, owner) == 2
    await owner.browser.api("PATCH", f"/team/{admin.user_id}", {"role": "viewer"})
    assert await _open_invitations(portal, owner) == 1


async def test_the_invitations_of_an_erased_account_are_taken_back(portal: Portal, owner: Person):
    admin = await portal.person("admin", owner.organization)
    await admin.browser.api("POST", "/team/invitations", {"email": "accomplice@example.com", "role": "admin"})
    await portal.pool.execute("update users set deletes_at = now() where id = $1", admin.user_id)
    async with portal.pool.acquire() as connection:
        await delete_due(connection, portal.settings.secrets, datetime.now(UTC) + timedelta(seconds=1))
    assert await _open_invitations(portal, owner) == 0


async def test_many_who_work_together_do_not_flood_one_mailbox(portal: Portal):
    """Invitations of many organizations, and changes of many accounts to one address."""
    victim, statuses = new_email(), []
    for _ in range(7):
        person = await portal.person("owner")
        invited = await person.browser.api("POST", "/team/invitations", {"email": victim, "role": "viewer"})
        statuses.append(invited.status_code)
        asked = await person.browser.api("POST", "/account/email", {"email": victim})
        assert asked.status_code == 202, "whether a mail was sent is told to nobody"
    assert statuses == [201] * 5 + [429] * 2
    assert Counter(name for name, _ in await mails_to(portal, victim)) == {"invitation": 5, "change_email": 2}


async def test_a2_who_came_in_before_the_authenticator_is_out_with_it_and_the_owner_is_told(
    portal: Portal, owner: Person
):
    """A thief's session, begun with the password alone, must not outlive the second factor that is set up against it."""
    thief = await portal.sign_in(owner.user_id)
    assert (await thief.get("/api/account")).status_code == 200
    secret = (await owner.browser.api("POST", "/account/factor")).json()["secret"]
    code = pyotp.TOTP(secret).now()
    assert (await owner.browser.api("POST", "/account/factor/confirm", {"code": code})).status_code == 200
    assert (await thief.get("/api/account")).status_code == 401
    assert (await owner.browser.get("/api/account")).status_code == 200
    assert [name for name, _ in await mails_to(portal, owner.email)] == ["factor_on"]


async def test_what_is_dead_is_not_kept_and_what_lives_is(portal: Portal, owner: Person):
    """Else whoever signs in, asks for links and repeats creates fills the database for ever."""
    other = await portal.sign_in(owner.user_id)
    made = {"idempotency-key": "once"}
    await owner.browser.api("POST", "/keys", {"name": "a key"}, made)
    await owner.browser.post("/forgot", {"email": owner.email})
    async with portal.pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "update portal_session set expires_at = now() - interval '2 days' where user_id = $1 and token_digest = $2",
            owner.user_id,
            digest_of(other.client.cookies["pe_session"]),
        )
        await forget_what_is_dead(connection, portal)
        counts = (
            "select (select count(*) from portal_session where user_id = $1),"
            " (select count(*) from user_link where user_id = $1),"
            " (select count(*) from api_reply where scope like $2)"
        )
        left = await connection.fetchrow(counts, owner.user_id, f"{owner.user_id}:%")
        assert tuple(left) == (1, 1, 1)
        for table, column in (("user_link", "expires_at"), ("api_reply", "created_at")):
            await connection.execute(f"update {table} set {column} = now() - interval '8 days'")
        await forget_what_is_dead(connection, portal)
        assert await connection.fetchval("select count(*) from api_reply") == 0
        assert await connection.fetchval("select count(*) from user_link where user_id = $1", owner.user_id) == 0
    assert (await owner.browser.get("/api/account")).status_code == 200


async def forget_what_is_dead(connection, portal: Portal) -> None:
    kept = ages(portal.settings)
    for kind in KINDS:
        await forget(connection, kind, datetime.now(UTC) - kept[kind])


async def test_a_token_that_a_thief_makes_is_told_to_the_owner(portal: Portal, owner: Person):
    """It outlives the session and the password, so its owner has to hear of it."""
    body = {"name": "mine", "organization": owner.organization.slug, "read_only": True, "days": 30}
    made = await owner.browser.api("POST", "/account/tokens", body)
    assert made.status_code == 201
    [(template, values)] = await mails_to(portal, owner.email)
    assert (template, values["name"], values["organization"]) == ("token_made", "mine", owner.organization.name)
    assert made.json()["token"] not in str(values)
