"""A forgotten password and what else acts for its person: access tokens are revoked unless they say otherwise."""

import pytest

from tests.accounts import bearer
from tests.mailboxes import link_to, mails_to, stranger

NEW = "entirely new words"


async def asked(portal, person):
    """The path of the mailed link."""
    await stranger(portal).post("/forgot", {"email": person.email})
    return await link_to(portal, person.email, "reset_password")


async def is_good(portal, header):
    return (await stranger(portal).get("/api/organization", headers=header)).status_code == 200


async def told(portal, person):
    """What the mail says of tokens and connected accounts."""
    (values,) = [values for name, values in await mails_to(portal, person.email) if name == "password_changed"]
    return values["others"]


async def audited(portal, person):
    return await portal.pool.fetchval(
        "select count(*) from audit_entry where organization_id = $1 and verb = 'token.revoke' and actor_id = $2",
        person.organization.id,
        person.user_id,
    )


async def test_the_page_offers_to_revoke_them_and_says_how_many_there_are(portal, owner):
    link = await asked(portal, owner)
    assert "end_tokens" not in (await stranger(portal).get(link)).text
    for _ in range(2):
        await bearer(portal, owner)
    page = (await stranger(portal).get(link)).text
    assert "2 access tokens" in page
    assert 'name="end_tokens"' in page


@pytest.mark.parametrize("way", ["page", "api"])
async def test_they_are_revoked_the_mail_names_them_and_the_audit_of_the_organization_has_it(portal, owner, way):
    header, link = await bearer(portal, owner), await asked(portal, owner)
    assert await is_good(portal, header)
    browser = stranger(portal)
    if way == "page":
        answer = await browser.post(link, {"password": NEW, "end_tokens": "yes"})
        assert answer.status_code == 303
    else:
        await browser.get("/sign-in")
        answer = await browser.api("POST", "/auth/reset", {"token": link.rpartition("/")[2], "password": NEW})
        assert answer.status_code == 200, answer.text
    assert not await is_good(portal, header)
    assert await told(portal, owner) == "Revoked with it were these access tokens: test."
    assert await audited(portal, owner) == 1
    assert (await owner.browser.get("/account")).status_code == 303, "every session has ended"


@pytest.mark.parametrize("way", ["page", "api"])
async def test_who_unticks_it_keeps_them_and_is_told_so(portal, owner, way):
    header, link = await bearer(portal, owner), await asked(portal, owner)
    browser = stranger(portal)
    if way == "page":
        await browser.post(link, {"password": NEW})
    else:
        await browser.get("/sign-in")
        body = {"token": link.rpartition("/")[2], "password": NEW, "revoke_tokens": False}
        await browser.api("POST", "/auth/reset", body)
    assert await is_good(portal, header)
    assert await told(portal, owner) == "These access tokens go on: test."
    assert await audited(portal, owner) == 0


async def test_connected_accounts_go_on_and_the_mail_names_them(portal, owner):
    await portal.pool.execute(
        "insert into outside_identity (user_id, issuer, subject, email) values ($1, 'github', $2, 'me@example.org')",
        owner.user_id,
        f"subject-{owner.user_id}",
    )
    await stranger(portal).post(await asked(portal, owner), {"password": NEW, "end_tokens": "yes"})
    assert await told(portal, owner) == "These connected accounts still sign you in: github me@example.org."


async def test_a_refused_password_keeps_what_was_chosen(portal, owner):
    await bearer(portal, owner)
    link = await asked(portal, owner)
    for form, ticked in (({"end_tokens": "yes"}, True), ({}, False)):
        page = await stranger(portal).post(link, {"password": "short", **form})
        assert page.status_code == 422
        box = page.text.partition('name="end_tokens"')[2].partition(">")[0]
        assert ("checked" in box) is ticked
