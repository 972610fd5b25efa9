"""Authenticators and recovery codes: setting up, signing in with them, guessing, switching off."""

import asyncio
import re
from datetime import UTC, datetime

import pyotp
import pytest

from domain.identity.authenticators import STEP_SECONDS
from domain.passwords import NO_PASSWORD
from portal.web.cookies import SESSION, VISITOR
from portal.web.forgery import form_token
from tests.accounts import age_proof
from tests.mailboxes import mails_to, stranger
from tests.portals import PASSWORD


def code_of(secret, steps=0):
    """The code of the present time step, or of one near it."""
    now = int(datetime.now(UTC).timestamp()) // STEP_SECONDS
    return pyotp.TOTP(secret).generate_otp(now + steps)


async def set_up(person):
    """An authenticator in force; its secret and the recovery codes. The code used is the last step's."""
    secret = (await person.browser.api("POST", "/account/factor")).json()["secret"]
    answer = await person.browser.api("POST", "/account/factor/confirm", {"code": code_of(secret, -1)})
    assert answer.status_code == 200, answer.text
    return secret, answer.json()["recovery_codes"]


async def half_signed_in(portal, person):
    """A browser in which the password was right."""
    browser = stranger(portal)
    answer = await browser.post("/sign-in", {"email": person.email, "password": PASSWORD, "next": "/account"})
    assert answer.headers["location"] == "/sign-in/factor?next=/account"
    return browser


def waiting_csrf(browser):
    """The token for forms while the code is missing: nobody is signed in, so it is tied to the browser."""
    return form_token(browser.settings.secrets, browser.client.cookies[VISITOR])


async def show_code(browser, code):
    """POST /api/auth/factor."""
    headers = {"x-csrf-token": waiting_csrf(browser)}
    return await browser.api("POST", "/auth/factor", {"code": code}, headers)


async def enter_code(browser, code, next_path="/account"):
    """POST /sign-in/factor."""
    form = {"code": code, "next": next_path, "csrf": waiting_csrf(browser)}
    return await browser.post("/sign-in/factor", form)


async def test_an_authenticator_is_set_up_on_pages(portal, owner):
    assert (await owner.browser.post("/account/factor")).headers["location"] == "/account/factor"
    page = (await owner.browser.get("/account/factor")).text
    assert "<svg" in page
    assert "style=" not in page
    secret = re.search(r"<code[^>]*>([A-Z2-7]{32})</code>", page).group(1)
    wrong = await owner.browser.post("/account/factor/confirm", {"code": "000000"})
    assert wrong.status_code == 422
    assert secret in wrong.text
    done = await owner.browser.post("/account/factor/confirm", {"code": code_of(secret)})
    assert done.status_code == 200
    assert len(re.findall(r"\b[2-9a-z]{5}-[2-9a-z]{5}-[2-9a-z]{5}\b", done.text)) == 10
    assert "10 of 10" in (await owner.browser.get("/account/security")).text


async def test_it_is_not_in_force_before_its_first_code(portal, owner):
    await owner.browser.api("POST", "/account/factor")
    answer = await stranger(portal).post("/sign-in", {"email": owner.email, "password": PASSWORD})
    assert answer.headers["location"] == "/organizations"


async def test_a1_the_password_alone_signs_nobody_in_and_the_code_begins_a_new_session(portal, owner):
    secret, _ = await set_up(owner)
    browser = await half_signed_in(portal, owner)
    waiting = browser.client.cookies[SESSION]
    assert (await browser.get("/account")).headers["location"] == "/sign-in?next=/account"
    assert (await browser.get("/api/account")).status_code == 401
    assert "six digits" in (await browser.get("/sign-in/factor?next=/account")).text
    answer = await enter_code(browser, code_of(secret))
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    assert browser.client.cookies[SESSION] != waiting
    assert (await browser.get("/account")).status_code == 200
    thief = portal.browser()
    thief.client.cookies.set(SESSION, waiting)
    assert (await thief.get("/sign-in/factor")).headers["location"].startswith("/sign-in?")


async def test_a12_a_code_is_taken_once_however_many_show_it_at_once(portal, owner):
    secret, _ = await set_up(owner)
    browsers = [await half_signed_in(portal, owner) for _ in range(4)]
    code = code_of(secret)
    answers = await asyncio.gather(*(show_code(browser, code) for browser in browsers))
    assert sorted(answer.status_code for answer in answers) == [200, 403, 403, 403]


async def test_codes_of_the_steps_around_are_taken_and_older_ones_are_not(portal, owner):
    secret, _ = await set_up(owner)
    browser = await half_signed_in(portal, owner)
    assert (await show_code(browser, code_of(secret, -3))).status_code == 403
    assert (await show_code(browser, code_of(secret, -1))).status_code == 403, "was used"
    assert (await show_code(browser, f" {code_of(secret, 1)} ")).status_code == 200


async def test_a12_of_one_recovery_code_shown_twice_at_once_one_signs_in(portal, owner):
    _, codes = await set_up(owner)
    browsers = [await half_signed_in(portal, owner) for _ in range(3)]
    answers = await asyncio.gather(*(show_code(browser, codes[0]) for browser in browsers))
    assert sorted(answer.status_code for answer in answers) == [200, 403, 403]
    used = [values for name, values in await mails_to(portal, owner.email) if name == "recovery_code_used"]
    assert [values["left"] for values in used] == ["9"]


async def test_a_recovery_code_is_read_as_people_write_it(portal, owner):
    _, codes = await set_up(owner)
    browser = await half_signed_in(portal, owner)
    written = codes[3].upper().replace("-", " ")
    assert (await enter_code(browser, written)).status_code == 303


async def test_a6_five_wrong_codes_end_the_sign_in(portal, owner):
    secret, _ = await set_up(owner)
    browser = await half_signed_in(portal, owner)
    for _ in range(5):
        assert (await enter_code(browser, "000000")).status_code == 403
    last = await enter_code(browser, code_of(secret))
    assert last.headers["location"] == "/sign-in?done=too_many_codes"
    assert await portal.pool.fetchval("select count(*) from portal_session where user_id = $1", owner.user_id) == 1


async def test_a6_the_same_by_the_api(portal, owner):
    await set_up(owner)
    browser = await half_signed_in(portal, owner)
    answers = [await show_code(browser, "000000") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [403] * 5 + [401]
    assert answers[-1].json()["code"] == "too_many_codes"
    assert await portal.pool.fetchval("select count(*) from portal_session where user_id = $1", owner.user_id) == 1


async def test_a6_strangers_with_the_password_use_up_their_own_tries_and_not_those_of_a_known_browser(portal, owner):
    secret, _ = await set_up(owner)
    known = await half_signed_in(portal, owner)
    assert (await show_code(known, code_of(secret))).status_code == 200
    await known.post("/sign-out")
    for _ in range(2):
        thief = await half_signed_in(portal, owner)
        for _ in range(5):
            assert (await show_code(thief, "000000")).status_code == 403
    thief = await half_signed_in(portal, owner)
    assert (await show_code(thief, "000000")).status_code == 429
    answer = await known.post("/sign-in", {"email": owner.email, "password": PASSWORD})
    assert answer.headers["location"].startswith("/sign-in/factor")
    assert (await show_code(known, code_of(secret, 1))).status_code == 200


async def test_new_recovery_codes_take_the_place_of_the_old(portal, owner):
    _, old = await set_up(owner)
    new = (await owner.browser.api("POST", "/account/factor/recovery-codes")).json()["recovery_codes"]
    assert not set(old) & set(new)
    browser = await half_signed_in(portal, owner)
    assert (await show_code(browser, old[0])).status_code == 403
    assert (await show_code(browser, new[0])).status_code == 200


async def test_switched_off_it_asks_no_more_and_a_mail_says_so(portal, owner):
    await set_up(owner)
    answer = await owner.browser.post("/account/factor/off")
    assert answer.headers["location"] == "/account/security?done=factor_off"
    assert [name for name, _ in await mails_to(portal, owner.email)] == ["factor_on", "factor_off"]
    signed_in = await stranger(portal).post("/sign-in", {"email": owner.email, "password": PASSWORD})
    assert signed_in.headers["location"] == "/organizations"
    assert await portal.pool.fetchval("select count(*) from recovery_code where user_id = $1", owner.user_id) == 0


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/account/factor"), ("POST", "/account/factor/recovery-codes")]
)
async def test_what_is_not_in_force_cannot_be_changed(owner, method, path):
    assert (await owner.browser.api(method, path)).status_code == 409


async def test_a_factor_in_force_is_not_replaced_unseen(owner):
    await set_up(owner)
    assert (await owner.browser.api("POST", "/account/factor")).status_code == 409


async def test_a14_a_secret_that_was_moved_to_another_user_does_not_open(portal, owner):
    secret, _ = await set_up(owner)
    other = await portal.person()
    other_secret, _ = await set_up(other)
    await portal.pool.execute(
        "update totp_factor f set secret = o.secret from totp_factor o where f.user_id = $1 and o.user_id = $2",
        other.user_id,
        owner.user_id,
    )
    browser = await half_signed_in(portal, other)
    for shown in (secret, other_secret):
        answer = await show_code(browser, code_of(shown))
        assert (answer.status_code, answer.json()["code"]) == (503, "unreadable")


async def test_a14_no_column_holds_a_secret_or_a_code_that_could_be_used(portal, owner):
    secret, codes = await set_up(owner)
    token = owner.browser.client.cookies[SESSION]
    for table in ("totp_factor", "recovery_code", "portal_session", "audit_entry", "users", "api_reply"):
        dump = await portal.pool.fetchval(f"select coalesce(string_agg(t::text, ' '), '') from {table} t")
        for text in (secret, token, *codes, *(code.replace("-", "") for code in codes)):
            assert text not in dump
            assert text.encode().hex() not in dump


async def test_who_has_no_password_proves_with_a_code(portal, owner):
    secret, _ = await set_up(owner)
    await portal.pool.execute("update users set password = $2 where id = $1", owner.user_id, NO_PASSWORD)
    await age_proof(portal, owner)
    assert "Code of your authenticator" in (await owner.browser.get("/prove")).text
    assert (await owner.browser.post("/prove", {"code": "000000"})).status_code == 403
    assert (await owner.browser.post("/prove", {"code": code_of(secret)})).status_code == 303


async def test_nothing_waits_in_a_browser_that_did_not_sign_in(portal):
    browser = stranger(portal)
    assert (await browser.get("/sign-in/factor")).headers["location"].startswith("/sign-in")
    assert (await browser.post("/sign-in/factor", {"code": "123456"})).headers["location"] == "/sign-in"


async def test_a_wrong_code_leaves_a_trace_by_page_and_by_api(portal, owner):
    await set_up(owner)
    browser = await half_signed_in(portal, owner)
    assert (await enter_code(browser, "000000x")).status_code == 403
    assert (await show_code(browser, "000000x")).status_code == 403
    entries = await portal.pool.fetch(
        "select after ->> 'how' as how, actor_id from audit_entry where verb = 'account.sign_in_failed' and object_id = $1",
        str(owner.user_id),
    )
    assert [tuple(entry) for entry in entries] == [("factor", None)] * 2
