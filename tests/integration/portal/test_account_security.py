"""Changing one's address and password."""

import asyncio

import pytest

from portal.web.cookies import SESSION
from tests.accounts import age_proof
from tests.mailboxes import link_to, mails_to, new_email, stranger
from tests.portals import PASSWORD

NEW = "staple the battery horse"


async def change_password(browser, old=PASSWORD, new=NEW):
    return await browser.post("/account/password", {"old": old, "new": new})


async def test_a2_a_new_password_ends_all_other_sessions_and_tells_by_mail(portal, owner):
    other = await portal.sign_in(owner.user_id)
    old_token = owner.browser.client.cookies[SESSION]
    answer = await change_password(owner.browser)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account/security?done=password_changed")
    assert (await other.get("/api/account")).status_code == 401
    assert (await owner.browser.get("/api/account")).status_code == 200
    assert owner.browser.client.cookies[SESSION] != old_token
    assert [name for name, _ in await mails_to(portal, owner.email)] == ["own_password_changed"]
    signed_in = await stranger(portal).post("/sign-in", {"email": owner.email, "password": NEW})
    assert signed_in.status_code == 303
    assert (await stranger(portal).post("/sign-in", {"email": owner.email, "password": PASSWORD})).status_code == 401


async def test_a2_a_new_password_voids_links_that_would_set_another(portal, owner):
    await stranger(portal).post("/forgot", {"email": owner.email})
    link = await link_to(portal, owner.email, "reset_password")
    await change_password(owner.browser)
    assert (await stranger(portal).get(link)).status_code == 404


async def test_the_old_password_is_asked_for(portal, owner):
    told = await change_password(owner.browser, old="wrong")
    assert told.status_code == 403
    assert "This is not your password." in told.text
    call = await owner.browser.api("POST", "/account/password", {"old": "wrong", "new": NEW})
    assert (call.status_code, call.json()["code"]) == (403, "wrong_proof")
    assert await mails_to(portal, owner.email) == []


@pytest.mark.parametrize("new", ["short", "password123", "x" * 129])
async def test_a_password_that_is_none_is_told(owner, new):
    assert (await change_password(owner.browser, new=new)).status_code == 422


async def test_a12_of_two_changes_at_once_one_holds(portal, owner):
    async def change(new):
        return await owner.browser.api("POST", "/account/password", {"old": PASSWORD, "new": new})

    answers = await asyncio.gather(change(NEW + "1"), change(NEW + "2"))
    assert sorted(answer.status_code for answer in answers) in ([200, 401], [200, 403], [200, 409])
    assert len(await mails_to(portal, owner.email)) == 1


async def test_an_address_changes_with_the_link_in_the_new_mailbox_and_the_old_one_is_told(portal, owner):
    new = new_email()
    answer = await owner.browser.post("/account/email", {"email": new.upper()})
    assert answer.headers["location"] == "/account/security?done=email_link_sent"
    assert (await owner.browser.get("/api/account")).json()["pending_email"] == new
    assert [name for name, _ in await mails_to(portal, owner.email)] == ["email_will_change"]
    link = await link_to(portal, new, "change_email")
    anybody = stranger(portal)
    assert new in (await anybody.get(link)).text
    assert (await owner.browser.get("/api/account")).json()["email"] == owner.email, "a GET changes nothing"
    assert (await anybody.post(link)).headers["location"] == "/sign-in?done=email_changed"
    account = (await owner.browser.get("/api/account")).json()
    assert (account["email"], account["email_verified"], account["pending_email"]) == (new, True, None)
    assert [name for name, _ in await mails_to(portal, owner.email)] == ["email_will_change", "email_changed"]
    assert (await anybody.post(link)).status_code == 404, "the link is good once"
    entry = await portal.pool.fetchrow(
        "select * from audit_entry where verb = 'account.change_email' and actor_id = $1", owner.user_id
    )
    assert new in entry["after"]


async def test_who_asks_for_another_address_or_gives_it_up_is_written_down_and_a_repeat_is_not(portal, owner):
    asked, again = new_email(), new_email()
    await owner.browser.post("/account/email", {"email": asked})
    await owner.browser.api("POST", "/account/email", {"email": again})
    await owner.browser.post("/account/email/cancel")
    await owner.browser.api("DELETE", "/account/email")
    rows = await portal.pool.fetch(
        "select verb, actor_kind, object_id, before->>'email' as was, after->>'email' as asked, address, request_id"
        " from audit_entry where actor_id = $1 order by created_at, id",
        owner.user_id,
    )
    entries = [(row["verb"], row["was"], row["asked"]) for row in rows]
    assert entries == [
        ("account.ask_email", owner.email, asked),
        ("account.ask_email", owner.email, again),
        ("account.cancel_email", None, None),
    ]
    for row in rows:
        assert (row["actor_kind"], row["object_id"], row["address"]) == ("user", str(owner.user_id), "127.0.0.1")
        assert row["request_id"]


async def test_a5_a_taken_address_looks_like_a_free_one_and_only_its_mailbox_is_told(portal, owner):
    taken = await portal.person()
    free = new_email()
    answers = [await owner.browser.api("POST", "/account/email", {"email": email}) for email in (free, taken.email)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert [answer.json().keys() for answer in answers] == [{"status", "pending_email"}] * 2
    assert (await owner.browser.get("/api/account")).json()["pending_email"] == taken.email
    (mail,) = await mails_to(portal, taken.email)
    assert mail[0] == "taken_address"
    assert "link" not in mail[1]
    assert (await stranger(portal).get(await link_to(portal, free, "change_email"))).status_code == 404, "asked anew"


async def test_an_address_that_was_taken_meanwhile_stays_with_who_took_it(portal, owner):
    new = new_email()
    await owner.browser.post("/account/email", {"email": new})
    link = await link_to(portal, new, "change_email")
    await portal.user(new)
    answer = await stranger(portal).post(link)
    assert answer.status_code == 409
    assert "another account" in answer.text
    assert (await owner.browser.get("/api/account")).json()["email"] == owner.email


async def test_a_sign_up_that_nobody_confirmed_keeps_the_address_from_nobody(portal, owner):
    new = new_email()
    await stranger(portal).post("/sign-up", {"email": new, "password": PASSWORD, "organization": "Squat"})
    await owner.browser.post("/account/email", {"email": new})
    assert (await stranger(portal).post(await link_to(portal, new, "change_email"))).status_code == 303
    assert (await owner.browser.get("/api/account")).json()["email"] == new


async def test_a_change_can_be_cancelled(portal, owner):
    new = new_email()
    await owner.browser.post("/account/email", {"email": new})
    await owner.browser.post("/account/email/cancel")
    assert (await stranger(portal).post(await link_to(portal, new, "change_email"))).status_code == 404
    assert (await owner.browser.get("/api/account")).json()["pending_email"] is None


async def test_a6_an_account_mails_only_a_few_strangers(owner):
    for _ in range(5):
        assert (await owner.browser.api("POST", "/account/email", {"email": new_email()})).status_code == 202
    assert (await owner.browser.api("POST", "/account/email", {"email": new_email()})).status_code == 429


async def test_the_api_takes_the_link_too(portal, owner):
    new = new_email()
    await owner.browser.api("POST", "/account/email", {"email": new})
    token = (await link_to(portal, new, "change_email")).rpartition("/")[2]
    answer = await owner.browser.api("POST", "/account/email/confirm", {"token": token})
    assert answer.status_code == 204
    assert (await owner.browser.api("POST", "/account/email/confirm", {"token": token})).json()["code"] == "dead_link"


async def test_an_old_proof_does_not_stop_a_password_change_that_shows_the_old_one(portal, owner):
    await age_proof(portal, owner)
    assert (await change_password(owner.browser)).status_code == 303
