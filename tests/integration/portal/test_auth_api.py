"""The doors through the API, and the organizations of who came in."""

import asyncio
from copy import copy
from uuid import uuid4

from domain.audit import Actor
from domain.credits.accounts import fetch_balance
from domain.portal_settings import SecretSettings
from domain.sign_up import found
from portal.web.cookies import DEVICE, SESSION
from tests.mailboxes import link_to, new_email, stranger
from tests.portals import PASSWORD


async def visitor(portal):
    """A browser that has fetched its token."""
    browser = stranger(portal)
    answer = (await browser.get("/api/auth/session")).json()
    assert answer == {
        "signed_in": False,
        "awaits_factor": False,
        "csrf": browser.csrf,
        "user": None,
        "organizations": [],
    }
    return browser


async def test_from_nothing_to_signed_in_and_out_again(portal):
    await portal.organization()
    email, browser = new_email(), await visitor(portal)
    wish = {"email": email, "password": PASSWORD, "organization": "By program"}
    answer = await browser.api("POST", "/auth/sign-up", wish)
    assert (answer.status_code, answer.json()) == (202, {"status": "sent", "good_for_seconds": 86_400})
    token = (await link_to(portal, email, "verify_email")).rpartition("/")[2]
    wrong = await browser.api("POST", "/auth/verify", {"token": token, "password": "not this one"})
    assert (wrong.status_code, wrong.json()["code"]) == (403, "wrong_password")
    session = await browser.api("POST", "/auth/verify", {"token": token, "password": PASSWORD})
    assert session.status_code == 200
    assert session.json()["organizations"][0]["name"] == "By program"
    assert session.json()["csrf"] == browser.csrf
    assert {SESSION, DEVICE} <= set(browser.client.cookies)
    again = await browser.api("POST", "/auth/verify", {"token": token, "password": PASSWORD})
    assert (again.status_code, again.json()["code"]) == (404, "dead_link")
    assert (await browser.api("POST", "/auth/sign-out")).status_code == 204
    assert (await browser.get("/api/organizations")).status_code == 401
    browser = await visitor(portal)
    session = await browser.api("POST", "/auth/sign-in", {"email": email, "password": PASSWORD})
    assert session.json()["user"]["email"] == email


async def test_a5_forgot_and_reset(portal, owner):
    browser = await visitor(portal)
    answers = [(await browser.api("POST", "/auth/forgot", {"email": email})) for email in (owner.email, new_email())]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    token = (await link_to(portal, owner.email, "reset_password")).rpartition("/")[2]
    answer = await browser.api("POST", "/auth/reset", {"token": token, "password": "entirely new words"})
    assert answer.json()["user"]["id"] == owner.user_id


async def test_wrong_passwords_are_401_then_429_with_the_time_to_wait(portal, owner):
    browser = await visitor(portal)
    wrong = {"email": owner.email, "password": "not this one"}
    answers = [await browser.api("POST", "/auth/sign-in", wrong) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert answers[0].json()["code"] == "wrong_credentials"
    assert answers[-1].json()["retry_after_seconds"] == int(answers[-1].headers["retry-after"])


async def test_a4_no_sign_in_without_the_visitors_token_or_as_anything_but_json(portal, owner):
    shown = {"email": owner.email, "password": PASSWORD}
    browser = await visitor(portal)
    assert (await browser.client.post("/api/auth/sign-in", json=shown)).status_code == 403
    other = await visitor(portal)
    stolen = {"x-csrf-token": other.csrf}
    assert (await browser.client.post("/api/auth/sign-in", json=shown, headers=stolen)).status_code == 403
    foreign = {"sec-fetch-site": "cross-site"}
    assert (await browser.api("POST", "/auth/sign-in", shown, headers=foreign)).status_code == 403
    answer = await browser.client.post("/api/auth/sign-in", data=shown, headers={"x-csrf-token": browser.csrf})
    assert answer.status_code == 415
    assert SESSION not in browser.client.cookies


async def test_a_further_organization_is_founded_once_and_without_a_second_bonus(portal):
    await portal.organization()
    email, browser = new_email(), stranger(portal)
    await browser.post("/sign-up", {"email": email, "password": PASSWORD, "organization": "First"})
    await browser.post(await link_to(portal, email, "verify_email"), {"password": PASSWORD})
    key = {"idempotency-key": "second"}
    answers = [await browser.api("POST", "/organizations", {"name": "Second"}, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    names = [item["name"] for item in (await browser.get("/api/organizations")).json()["data"]]
    assert names == ["First", "Second"]
    page = await browser.get("/organizations")
    assert "First" in page.text
    assert "Second" in page.text
    given = await portal.pool.fetchval(
        "select sum(a.balance_micro) from users u join membership m on m.user_id = u.id"
        " join credit_account a on a.organization_id = m.organization_id where u.email = $1",
        email,
    )
    assert given == 100_000_000


async def test_nobody_owns_more_than_twenty_even_at_once(portal, owner):
    assert (await owner.browser.post("/organizations/new", {"name": " "})).status_code == 422
    await asyncio.gather(
        *(owner.browser.post("/organizations/new", {"name": f"Number {number}"}) for number in range(24))
    )
    owned = await portal.pool.fetchval("select count(*) from membership where user_id = $1", owner.user_id)
    assert owned == 20
    answer = await owner.browser.post("/organizations/new", {"name": "One more"})
    assert answer.status_code == 409
    assert "You own 20 organizations already" in answer.text


async def test_a_mailbox_stays_known_when_secret_keys_have_a_newer_version(portal):
    email = f"{uuid4().hex}@example.com"
    older, newer = copy(portal.settings), copy(portal.settings)
    older.secrets = SecretSettings(keys=f"1:{'77' * 32}")
    newer.secrets = SecretSettings(keys=f"1:{'77' * 32},2:{'88' * 32}")
    balances = []
    await portal.organization()
    async with portal.pool.acquire() as connection:
        user_id = await connection.fetchval(
            "insert into users (username, email, password) values ($1, $1, 'x') returning id", email
        )
        for settings in (older, newer, newer):
            made = await found(connection, settings, Actor("user", user_id, email), name="Again")
            balances.append((await fetch_balance(connection, made.id)).balance_micro)
    assert balances == [100_000_000, 0, 0]
