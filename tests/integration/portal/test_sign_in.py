"""Signing in and out, wrong passwords by the thousand, and forgotten ones."""

import re

import pytest
from argon2 import PasswordHasher

from domain.identity import passwords_shown
from domain.passwords import NO_PASSWORD, verify_password
from portal.web import doors
from portal.web.cookies import DEVICE, SESSION
from schema.users import UNKNOWN_USER_HASH
from tests.mailboxes import link_to, mails_to, new_email, stranger
from tests.portals import PASSWORD

FREE = 5
"""Wrong passwords that strangers have at once, for one account."""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Wrong passwords are answered without the wait that evens them out; test_sign_up.py looks at that."""
    monkeypatch.setattr(doors, "EVEN_SECONDS", 0.0)


async def sign_in(browser, email, password=PASSWORD, next_path="/organizations"):
    """POST /sign-in."""
    return await browser.post("/sign-in", {"email": email, "password": password, "next": next_path})


async def test_a1_signing_in_gives_a_new_session_and_ends_the_one_that_was_there(portal):
    attacker_id, _ = await portal.user()
    _, email = await portal.user()
    planted = await portal.sign_in(attacker_id)
    token = planted.client.cookies[SESSION]
    browser = stranger(portal)
    browser.client.cookies.set(SESSION, token)
    answer = await sign_in(browser, email)
    assert (answer.status_code, answer.headers["location"]) == (303, "/organizations")
    fresh = {cookie.value for cookie in browser.client.cookies.jar if cookie.name == SESSION} - {token}
    assert len(fresh) == 1
    assert (await planted.get("/organizations")).headers["location"].startswith("/sign-in")


async def test_a3_the_session_cookie_is_closed_to_scripts_and_stored_as_a_digest(portal):
    user_id, email = await portal.user()
    answer = await sign_in(stranger(portal), email)
    (field,) = [value for value in answer.headers.get_list("set-cookie") if value.startswith(f"{SESSION}=")]
    assert "HttpOnly" in field
    assert "SameSite=lax" in field
    token = field.partition("=")[2].partition(";")[0]
    assert len(token) >= 43
    stored = await portal.pool.fetchval("select token_digest from portal_session where user_id = $1", user_id)
    assert token.encode() not in stored
    assert len(stored) == 32


async def test_a10_after_signing_in_only_own_paths_are_gone_to(portal):
    _, email = await portal.user()
    assert (await sign_in(stranger(portal), email, next_path="//evil.example")).headers["location"] == "/organizations"
    assert (await sign_in(stranger(portal), email, next_path="/account")).headers["location"] == "/account"
    page = await stranger(portal).get('/sign-in?next=/"><script>')
    assert "<script>alert" not in page.text
    assert 'value="/organizations"' in (await stranger(portal).get("/sign-in?next=https:evil.example")).text


async def test_a2_signing_out_ends_the_session_itself(portal, owner):
    token = owner.browser.client.cookies[SESSION]
    answer = await owner.browser.post("/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?done=signed_out")
    stolen = stranger(portal)
    stolen.client.cookies.set(SESSION, token)
    assert (await stolen.get("/organizations")).status_code == 303
    assert (await stolen.get("/api/organizations")).status_code == 401


async def test_a4_nobody_is_signed_in_or_out_by_another_site(portal, owner):
    browser = stranger(portal)
    await browser.get("/sign-in")
    fields = {"email": owner.email, "password": PASSWORD}
    assert (await browser.client.post("/sign-in", data=fields)).status_code == 403
    foreign = {"sec-fetch-site": "cross-site"}
    assert (await browser.post("/sign-in", fields, headers=foreign)).status_code == 403
    assert (await owner.browser.client.post("/sign-out")).status_code == 403
    assert (await owner.browser.get("/sign-out")).status_code == 405
    assert (await owner.browser.get(f"{owner.root}/settings")).status_code == 200


async def test_a_second_factor_comes_between_and_then_the_device_is_known(portal):
    user_id, email = await portal.user()
    await portal.pool.execute(
        "insert into totp_factor (user_id, secret, confirmed_at) values ($1, '\\x00', now())", user_id
    )
    browser = stranger(portal)
    answer = await sign_in(browser, email, next_path="/account")
    assert answer.headers["location"] == "/sign-in/factor?next=/account"
    assert DEVICE not in browser.client.cookies
    assert (await browser.get("/organizations")).headers["location"].startswith("/sign-in")


async def test_a_new_device_is_told_by_mail_and_a_known_one_is_not(portal):
    _, email = await portal.user()
    first = stranger(portal)
    await sign_in(first, email)
    assert await mails_to(portal, email) == []
    await sign_in(stranger(portal), email)
    ((template, values),) = await mails_to(portal, email)
    assert template == "new_device"
    assert values["browser"] == "Test Browser 1.0"
    await first.post("/sign-out")
    await sign_in(first, email)
    assert len(await mails_to(portal, email)) == 1


async def test_a6_ten_wrong_passwords_make_strangers_wait_and_the_owner_gets_in(portal):
    _, email = await portal.user()
    known = stranger(portal)
    await sign_in(known, email)
    await known.post("/sign-out")
    answers = [await sign_in(stranger(portal), email, f"wrong password {number}") for number in range(10)]
    assert [answer.status_code for answer in answers] == [401] * FREE + [429] * (10 - FREE)
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert "A new password by mail gets you in at once" in answers[-1].text
    right_from_a_stranger = await sign_in(stranger(portal), email)
    assert right_from_a_stranger.status_code == 429
    assert (await sign_in(known, email)).status_code == 303
    elsewhere = stranger(portal)
    assert (await elsewhere.post("/forgot", {"email": email})).headers["location"] == "/forgot/sent"
    answer = await elsewhere.post(await link_to(portal, email, "reset_password"), {"password": "entirely new words"})
    assert answer.headers["location"] == "/organizations?done=password_set"
    assert (await elsewhere.get("/organizations/new")).status_code == 200


async def test_a6_unknown_addresses_are_counted_like_known_ones(portal):
    _, known = await portal.user()
    for email in (known, new_email()):
        codes = [(await sign_in(stranger(portal), email, "wrong password")).status_code for _ in range(FREE + 1)]
        assert codes == [401] * FREE + [429]


async def test_a6_one_network_cannot_try_many_accounts(portal):
    browser = portal.browser("2001:db8:77::1")
    codes = []
    for number in range(22):
        neighbour = portal.browser(f"2001:db8:77::{number + 2:x}")
        neighbour.client.cookies = browser.client.cookies
        codes.append((await sign_in(neighbour, new_email(), "wrong password")).status_code)
    assert codes == [401] * 20 + [429] * 2
    assert (await sign_in(portal.browser("2001:db8:78::1"), new_email(), "wrong password")).status_code == 401


async def test_a6_a_device_cookie_has_its_own_count_and_is_worth_nothing_elsewhere(portal):
    _, email = await portal.user()
    _, other = await portal.user()
    browser = stranger(portal)
    await sign_in(browser, email)
    await browser.post("/sign-out")
    codes = [(await sign_in(browser, email, "wrong password")).status_code for _ in range(16)]
    assert codes == [401] * (10 + FREE) + [429]
    forged = stranger(portal)
    await forged.get("/sign-in")
    forged.client.cookies.set(DEVICE, re.sub(r"^\d+", "1", browser.client.cookies[DEVICE]))
    codes = [(await sign_in(forged, other, "wrong password")).status_code for _ in range(FREE + 1)]
    assert codes == [401] * FREE + [429]


async def test_a6_right_passwords_are_not_counted(portal):
    _, email = await portal.user()
    for _ in range(FREE + 3):
        assert (await sign_in(stranger(portal), email)).status_code == 303


async def test_a2_a_new_password_ends_every_session_and_every_link(portal, owner):
    await stranger(portal).post("/forgot", {"email": owner.email})
    first = await link_to(portal, owner.email, "reset_password")
    await stranger(portal).post("/forgot", {"email": owner.email})
    second = await link_to(portal, owner.email, "reset_password")
    assert first != second
    browser = stranger(portal)
    for _ in range(2):
        assert (await browser.get(first)).status_code == 200
    assert (await browser.post(first, {"password": "short"})).status_code == 422
    assert (await browser.post(first, {"password": "entirely new words"})).status_code == 303
    assert (await owner.browser.get(f"{owner.root}/settings")).headers["location"].startswith("/sign-in")
    for path in (first, second):
        assert (await stranger(portal).post(path, {"password": "yet other words"})).status_code == 404
    names = [name for name, _ in await mails_to(portal, owner.email)]
    assert names == ["reset_password", "reset_password", "password_changed"]
    assert (await sign_in(stranger(portal), owner.email)).status_code == 401


async def test_a6_a_reset_link_lives_half_an_hour_and_is_stored_as_a_digest(portal, owner):
    await stranger(portal).post("/forgot", {"email": owner.email})
    path = await link_to(portal, owner.email, "reset_password")
    row = await portal.pool.fetchrow(
        "select token_digest, expires_at - created_at as life from user_link where user_id = $1", owner.user_id
    )
    assert row["life"].total_seconds() <= 1800
    assert len(row["token_digest"]) == 32
    await portal.pool.execute("update user_link set expires_at = now() where user_id = $1", owner.user_id)
    assert (await stranger(portal).get(path)).status_code == 404
    assert (await stranger(portal).post(path, {"password": "entirely new words"})).status_code == 404


async def test_a_disabled_user_gets_neither_in_nor_a_link(portal):
    user_id, email = await portal.user()
    await stranger(portal).post("/forgot", {"email": email})
    path = await link_to(portal, email, "reset_password")
    await portal.pool.execute("update users set active = false where id = $1", user_id)
    assert (await sign_in(stranger(portal), email)).status_code == 401
    assert (await stranger(portal).post(path, {"password": "entirely new words"})).status_code == 404
    assert await portal.pool.fetchval("select password from users where id = $1", user_id)
    await stranger(portal).post("/forgot", {"email": email})
    assert len(await mails_to(portal, email)) == 1


async def test_forgetting_the_password_before_confirming_also_confirms(portal):
    await portal.organization()
    email = new_email()
    fields = {"email": email, "password": PASSWORD, "organization": "Late"}
    await stranger(portal).post("/sign-up", fields)
    await stranger(portal).post("/forgot", {"email": email})
    browser = stranger(portal)
    answer = await browser.post(await link_to(portal, email, "reset_password"), {"password": "entirely new words"})
    assert answer.status_code == 303
    assert (await browser.get("/organizations")).headers["location"].startswith("/o/late")
    assert (await stranger(portal).get(await link_to(portal, email, "verify_email"))).status_code == 404


@pytest.mark.parametrize("email", ["", "\x00", "x" * 300, "a@b"])
@pytest.mark.parametrize("password", ["", "\x00", "x" * 5_000])
async def test_odd_input_is_only_wrong(portal, email, password):
    assert (await sign_in(stranger(portal), email, password)).status_code in (401, 429)


async def test_a5_who_only_signs_in_elsewhere_takes_as_long_as_anybody(portal, monkeypatch):
    user_id, email = await portal.user()
    await portal.pool.execute("update users set password = $2 where id = $1", user_id, NO_PASSWORD)
    compared = []

    async def compare(stored, password):
        compared.append(stored)
        return await verify_password(stored, password)

    monkeypatch.setattr(passwords_shown, "verify_password", compare)
    for shown in (NO_PASSWORD, "nobody has this password"):
        assert (await sign_in(stranger(portal), email, shown)).status_code == 401
    assert compared == [UNKNOWN_USER_HASH] * 2


async def test_a_right_password_is_hashed_anew_when_the_parameters_are_old(portal):
    user_id, email = await portal.user()
    old = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await portal.pool.execute("update users set password = $2 where id = $1", user_id, old)
    for _ in range(2):
        assert (await sign_in(stranger(portal), email)).status_code == 303
    stored = await portal.pool.fetchval("select password from users where id = $1", user_id)
    assert "m=19456,t=2,p=1" in stored
