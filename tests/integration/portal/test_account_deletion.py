"""Deleting an account: days of grace, then everything of the person is gone and nothing of others."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain import keys, organizations, plans
from domain.audit_chain.sealing import seal
from domain.audit_chain.verifying import verify
from domain.faults import Conflict
from domain.identity.deletion import delete_due
from domain.portal_settings import SecretSettings
from domain.trials import start_trial
from tests.accounts import bearer
from tests.mailboxes import link_to, mails_to, stranger
from tests.portals import PASSWORD


async def run(portal, days=15):
    """What the hourly task does, so many days later."""
    async with portal.pool.acquire() as connection:
        return await delete_due(connection, portal.settings.secrets, datetime.now(UTC) + timedelta(days=days))


async def test_an_account_that_is_to_be_deleted_works_on_and_says_so_everywhere(portal, owner):
    answer = await owner.browser.post("/account/deletion")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account/deletion")
    for path in ("/account", f"{owner.root}/settings", "/organizations/new"):
        page = (await owner.browser.get(path)).text
        assert "Your account will be deleted" in page
        assert 'action="/account/keep"' in page
    assert [name for name, _ in await mails_to(portal, owner.email)] == ["account_will_end"]
    await run(portal, days=13)
    assert (await owner.browser.get("/api/account")).status_code == 200


@pytest.mark.parametrize("way", ["banner", "link", "api", "api with link"])
async def test_it_can_be_kept(portal, owner, way):
    await owner.browser.api("POST", "/account/deletion")
    link = await link_to(portal, owner.email, "account_will_end")
    if way == "banner":
        await owner.browser.post("/account/keep")
    elif way == "link":
        anybody = stranger(portal)
        assert owner.email in (await anybody.get(link)).text
        assert (await owner.browser.get("/api/account")).json()["deletes_at"], "a GET changes nothing"
        assert (await anybody.post(link)).headers["location"] == "/sign-in?done=account_kept"
    elif way == "api":
        assert (await owner.browser.api("DELETE", "/account/deletion")).status_code == 204
    else:
        answer = await owner.browser.api("POST", "/account/keep", {"token": link.rpartition("/")[2]})
        assert answer.status_code == 204
    assert (await owner.browser.get("/api/account")).json()["deletes_at"] is None
    await run(portal)
    assert (await owner.browser.get("/api/account")).status_code == 200
    assert (await stranger(portal).post(link)).status_code == 404, "the link is good once"


async def test_the_only_owner_of_a_team_is_refused_with_what_to_do(portal, owner):
    await portal.person("admin", owner.organization)
    told = await owner.browser.post("/account/deletion")
    assert told.status_code == 409
    assert "Hand it over" in told.text
    assert owner.organization.name in told.text
    call = await owner.browser.api("POST", "/account/deletion")
    assert (call.status_code, call.json()["code"]) == (409, "conflict")


async def test_one_of_two_owners_may_go_and_the_organization_stays(portal, owner):
    second = await portal.person("owner", owner.organization)
    assert (await owner.browser.api("POST", "/account/deletion")).status_code == 200
    assert await run(portal) >= 1
    assert (await second.browser.get("/api/organization")).json()["state"] == "active"


async def test_whoever_joined_meanwhile_does_not_lose_the_organization(portal, owner):
    await owner.browser.api("POST", "/account/deletion")
    member = await portal.person("developer", owner.organization)
    await run(portal)
    assert (await owner.browser.get("/api/account")).json()["deletes_at"] is None
    assert (await member.browser.get("/api/organization")).json()["state"] == "active"
    assert [name for name, _ in await mails_to(portal, owner.email)] == ["account_will_end", "account_stays"]


async def test_an_operator_is_not_deleted_by_the_portal(portal, owner):
    await portal.pool.execute("update users set admin = true, operator_role = 'admin' where id = $1", owner.user_id)
    assert (await owner.browser.api("POST", "/account/deletion")).status_code == 409


async def test_a12_asked_for_twice_at_once_it_is_asked_for_once(portal, owner):
    answers = await asyncio.gather(*(owner.browser.api("POST", "/account/deletion") for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert len(await mails_to(portal, owner.email)) == 1


async def everything(portal, person):
    """One of each thing that a person may have."""
    token = await bearer(portal, person)
    await person.browser.api("PATCH", "/settings", {"theme": "dark"}, {"if-match": '"0"'})
    await person.browser.api("POST", "/account/factor")
    await portal.pool.execute(
        "insert into outside_identity (user_id, issuer, subject) values ($1, 'https://i.example', $2)",
        person.user_id,
        person.email,
    )
    await portal.pool.execute(
        "insert into recovery_code (user_id, code_digest) values ($1, decode(repeat('00', 32), 'hex'))", person.user_id
    )
    async with portal.pool.acquire() as connection:
        made = await keys.create(
            connection,
            portal.settings.keys,
            organization_id=person.organization.id,
            name="k",
            created_by=person.user_id,
        )
    return token, made.record.id


async def test_at_the_end_the_person_is_erased_and_organizations_without_others_are_closed(portal, owner):
    token, key_id = await everything(portal, owner)
    await owner.browser.api("POST", "/account/deletion")
    bystander = await portal.person()
    assert await run(portal) >= 1
    assert (await owner.browser.get("/api/account")).status_code == 401
    assert (await portal.browser().get("/api/organization", headers=token)).status_code == 401
    tables = await portal.pool.fetch(
        "select table_name from information_schema.columns where column_name = 'user_id' and table_schema = 'public'"
    )
    for table in (row["table_name"] for row in tables):
        assert await portal.pool.fetchval(f"select count(*) from {table} where user_id = $1", owner.user_id) == 0, table
    assert await portal.pool.fetchval("select count(*) from users where id = $1", owner.user_id) == 0
    organization = await portal.pool.fetchrow("select * from organization where id = $1", owner.organization.id)
    assert organization["state"] == "closed"
    key = await portal.pool.fetchrow("select * from api_key where id = $1", key_id)
    assert key["revoked_at"] is not None
    assert key["revoked_reason"] == "The account of its only member was deleted."
    live = (
        "select count(*) from subscription where organization_id = $1 and state in ('trialing', 'active', 'past_due')"
    )
    assert await portal.pool.fetchval(live, owner.organization.id) == 0
    verbs = await portal.pool.fetch("select verb from audit_entry where object_id = $1", str(owner.user_id))
    assert {"account.delete", "account.erase"} <= {row["verb"] for row in verbs}
    assert (await bystander.browser.get("/api/organization")).json()["state"] == "active"
    assert "account_deleted" in [name for name, _ in await mails_to(portal, owner.email)]


async def test_an_erased_person_leaves_the_chain_of_the_audit_sound(portal, owner):
    async with portal.pool.acquire() as connection:
        while await seal(connection, most=10_000):
            pass
        before = await verify(connection)
        await owner.browser.api("POST", "/account/deletion")
        await run(portal)
        while await seal(connection, most=10_000):
            pass
        after = await verify(connection, expect=bytes.fromhex(before.head))
    assert (before.breach, after.breach) == (None, None)
    assert after.verified > before.verified


async def test_the_address_is_free_again(portal, owner):
    await owner.browser.api("POST", "/account/deletion")
    await run(portal)
    browser = stranger(portal)
    await browser.post("/sign-up", {"email": owner.email, "password": PASSWORD, "organization": "Again"})
    link = await link_to(portal, owner.email, "verify_email")
    assert (await browser.post(link, {"password": PASSWORD})).status_code == 303
    assert (await browser.get("/api/account")).json()["email"] == owner.email


@pytest.mark.parametrize("before", ["digest", "address", "older key"])
async def test_a11_who_comes_back_gets_no_second_trial(portal, owner, before):
    secrets, older = portal.settings.secrets, SecretSettings(keys=f"1:{'77' * 32}")
    rotated = SecretSettings(keys=f"1:{'77' * 32},2:{'88' * 32}")
    kept = {"digest": secrets, "address": None, "older key": older}[before]
    async with portal.pool.acquire() as connection:
        slug = f"t{uuid4().hex[:12]}"
        await plans.create(connection, slug=slug, limits=[], name="Tried", price_cents=900, trial_days=7)
        await plans.create(connection, slug=f"{slug}-free", limits=[], name="Free")
        await start_trial(connection, owner.organization.id, slug, email=owner.email, secrets=kept)
        await owner.browser.api("POST", "/account/deletion")
        await run(portal)
        claimed = await connection.fetchval(
            "select email from trial_claim where organization_id = $1", owner.organization.id
        )
        assert (claimed == owner.email) == (before == "address"), "nothing of a person stays that nobody needs"
        again = await organizations.create(connection, name="Again", plan_slug=f"{slug}-free")
        known = rotated if before == "older key" else secrets
        with pytest.raises(Conflict, match="has had its trial"):
            await start_trial(connection, again.id, slug, email=owner.email.upper(), secrets=known)
        assert (await start_trial(connection, again.id, slug, email=f"{slug}@example.com", secrets=known)).live


async def test_deleting_twice_and_at_once_is_deleting_once(portal, owner):
    await owner.browser.api("POST", "/account/deletion")
    erased = await asyncio.gather(*(run(portal) for _ in range(3)))
    assert sum(erased) >= 1
    assert await run(portal) == 0
    entries = await portal.pool.fetchval(
        "select count(*) from audit_entry where verb = 'account.erase' and object_id = $1", str(owner.user_id)
    )
    assert entries == 1
