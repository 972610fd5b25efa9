"""Signing in with accounts elsewhere, against providers that run here: who gets in, who does not, and what they are told."""

import re
import secrets
from html import unescape

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from domain.identity import elsewhere
from domain.passwords import NO_PASSWORD
from domain.settings import SignInSettings
from portal.web.cookies import FLOW, SESSION
from tests.accounts import age_proof
from tests.mailboxes import mails_to, new_email, stranger
from tests.portals import PASSWORD
from tests.wire.issuer import CLIENT_ID, CLIENT_SECRET, new_key, running_issuer


@pytest.fixture(scope="module")
async def running(portal):
    await portal.organization()  # and with it the plan that new ones begin on
    async with running_issuer() as issuer:
        before = portal.settings.sign_in
        portal.settings.sign_in = SignInSettings(
            google_client_id=CLIENT_ID,
            google_client_secret=CLIENT_SECRET,
            google_issuer=issuer.url,
            github_client_id=CLIENT_ID,
            github_client_secret=CLIENT_SECRET,
            github_url=issuer.url,
            github_api_url=issuer.url,
        )
        yield issuer
        portal.settings.sign_in = before


@pytest.fixture
def issuer(running):
    running.reset()
    yield running
    running.reset()


def google(email=None, *, verified=True, subject=None, name="Ada Lovelace"):
    """Somebody as Google describes them."""
    subject = subject or secrets.token_hex(8)
    return {"sub": subject, "email": email or new_email(), "email_verified": verified, "name": name}


def github(issuer, email=None, *, verified=True, primary=True):
    """Somebody as GitHub describes them."""
    issuer.person = {"id": secrets.randbelow(10**9) + 1, "login": "ada", "name": None}
    issuer.emails = [
        {"email": "other@example.com", "primary": not primary, "verified": True},
        {"email": email or new_email(), "primary": primary, "verified": verified},
    ]


async def agree(location):
    """What the provider answers the browser: the callback's path."""
    async with httpx2.AsyncClient() as client:
        answer = await client.get(location)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"].partition("localhost:3000")[2]


async def sign_in(browser, provider="google", next_path="/account"):
    """The whole way; the portal's answer to the callback."""
    begun = await browser.get(f"/sign-in/{provider}?next={next_path}")
    assert begun.status_code == 303, begun.text
    return await browser.get(await agree(begun.headers["location"]))


async def by_form(browser, intent, provider="google", next_path="/account/connections"):
    """The same begun by a form of the account."""
    page = await browser.post(f"/sign-in/{provider}", {"intent": intent, "next": next_path})
    assert page.status_code == 200, page.text
    url = unescape(re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', page.text).group(1))
    return await browser.get(await agree(url))


async def user_of(portal, email):
    return await portal.pool.fetchrow("select * from users where email = $1", email)


async def test_an_unknown_person_is_signed_up_with_an_organization_and_gets_in_again(portal, issuer):
    issuer.person = google()
    browser = stranger(portal)
    answer = await sign_in(browser)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    account = (await browser.get("/api/account")).json()
    assert (account["email"], account["email_verified"]) == (issuer.person["email"], True)
    assert (account["has_password"], account["name"]) == (False, "Ada Lovelace")
    (organization,) = (await browser.get("/api/auth/session")).json()["organizations"]
    assert (organization["name"], organization["role"]) == ("Ada Lovelace", "owner")
    again = stranger(portal)
    assert (await sign_in(again)).status_code == 303
    assert len((await again.get("/api/auth/session")).json()["organizations"]) == 1


async def test_the_address_may_change_elsewhere_the_subject_counts(portal, issuer):
    issuer.person = google()
    await sign_in(stranger(portal))
    first = issuer.person["email"]
    issuer.person = {**issuer.person, "email": new_email()}
    browser = stranger(portal)
    await sign_in(browser)
    assert (await browser.get("/api/account")).json()["email"] == first


async def test_a_known_address_is_not_connected_silently(portal, owner, issuer):
    issuer.person = google(owner.email)
    browser = stranger(portal)
    answer = await sign_in(browser)
    assert answer.status_code == 409
    assert "connect the other one" in answer.text
    assert (await browser.get("/api/account")).status_code == 401
    assert (await owner.browser.get("/api/account/connections")).json()["data"] == []


async def test_an_unconfirmed_sign_up_with_the_address_is_taken_over_and_its_password_forgotten(portal, issuer):
    email = new_email()
    attacker = stranger(portal)
    await attacker.post("/sign-up", {"email": email, "password": PASSWORD, "organization": "Trap"})
    issuer.person = google(email)
    assert (await sign_in(stranger(portal))).status_code == 303
    assert (await user_of(portal, email))["password"] == NO_PASSWORD
    assert (await attacker.post("/sign-in", {"email": email, "password": PASSWORD})).status_code == 401
    assert (await attacker.post("/sign-in", {"email": email, "password": NO_PASSWORD})).status_code == 401


@pytest.mark.parametrize("verified", [False, None, "false", 1])
async def test_an_address_that_the_issuer_does_not_vouch_for_signs_nobody_up(portal, issuer, verified):
    issuer.person = google(verified=verified)
    answer = await sign_in(stranger(portal))
    assert answer.status_code == 422
    assert "does not vouch" in answer.text
    assert await user_of(portal, issuer.person["email"]) is None


async def test_github_signs_up_with_its_verified_primary_address_only(portal, issuer):
    email = new_email()
    github(issuer, email)
    browser = stranger(portal)
    assert (await sign_in(browser, "github")).status_code == 303
    assert (await browser.get("/api/account")).json()["email"] == email
    for kind in ({"verified": False}, {"primary": False}):
        github(issuer, **kind)
        issuer.emails[0]["verified"] = False
        assert (await sign_in(stranger(portal), "github")).status_code == 422


async def test_closed_sign_up_is_for_the_invited(portal, issuer):
    issuer.person = google()
    before = portal.settings.portal
    portal.settings.portal = before.model_copy(update={"sign_up_open": False})
    try:
        assert (await sign_in(stranger(portal))).status_code == 403
        inviting = await portal.organization()
        await portal.pool.execute(
            "insert into invitation (organization_id, email, role, token_digest, expires_at)"
            " values ($1, $2, 'viewer', $3, now() + interval '1 day')",
            inviting.id,
            issuer.person["email"],
            secrets.token_bytes(32),
        )
        browser = stranger(portal)
        assert (await sign_in(browser)).status_code == 303
        assert (await browser.get("/api/auth/session")).json()["organizations"] == []
    finally:
        portal.settings.portal = before


def wrong_key(issuer, claims):
    return issuer.token(claims, key=new_key())


def unknown_key(issuer, claims):
    return issuer.token(claims, headers={"kid": "two"})


def unsigned(issuer, claims):
    return jwt.encode(claims, None, algorithm="none", headers={"kid": "one"})


def signed_with_the_public_key(issuer, claims):
    pem = issuer.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    encoded = jwt.encode(claims, "0" * 32, algorithm="HS256", headers={"kid": "one"})
    signing = encoded.rpartition(".")[0].encode()
    import base64
    import hashlib
    import hmac

    mark = base64.urlsafe_b64encode(hmac.new(pem, signing, hashlib.sha256).digest()).rstrip(b"=")
    return f"{signing.decode()}.{mark.decode()}"


def no_token(issuer, claims):
    return "not.a.token"


FORGERIES = [wrong_key, unknown_key, unsigned, signed_with_the_public_key, no_token]
LIES = [
    {"nonce": "of-another-sign-in"},
    {"nonce": None},
    {"aud": "somebody-else"},
    {"aud": [CLIENT_ID, "somebody-else"]},
    {"iss": "https://evil.example"},
    {"exp": 1_000_000_000},
    {"exp": None},
    {"iat": None},
    {"sub": None},
    {"sub": ""},
    {"sub": "x" * 256},
    {"nbf": 4_000_000_000},
]


async def refused(portal, browser, answer, email):
    assert answer.status_code == 422, answer.text
    assert 'role="alert"' in answer.text
    assert 'href="/sign-in"' in answer.text
    assert (await browser.get("/api/account")).status_code == 401
    assert await user_of(portal, email) is None


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.__name__)
async def test_a_token_that_is_not_signed_by_the_issuer_signs_nobody_in(portal, issuer, forgery):
    issuer.person = google()
    issuer.forge = lambda claims: forgery(issuer, claims)
    browser = stranger(portal)
    await refused(portal, browser, await sign_in(browser), issuer.person["email"])


@pytest.mark.parametrize("claims", LIES, ids=str)
async def test_a_token_that_is_not_for_this_sign_in_signs_nobody_in(portal, issuer, claims):
    issuer.person, issuer.claims = google(), claims
    browser = stranger(portal)
    await refused(portal, browser, await sign_in(browser), issuer.person["email"])


async def test_who_denies_is_told_that_nothing_was_done(portal, issuer):
    issuer.denies = True
    answer = await sign_in(stranger(portal))
    assert answer.status_code == 422
    assert "You did not agree at Google" in answer.text


async def test_an_answer_is_taken_in_the_browser_that_asked_and_once(portal, issuer):
    issuer.person = google()
    browser, other = stranger(portal), stranger(portal)
    begun = await browser.get("/sign-in/google")
    callback = await agree(begun.headers["location"])
    flow = browser.client.cookies[FLOW]
    assert "began in another browser" in (await other.get(callback)).text
    assert "began in another browser" in (await browser.get(callback.replace("state=", "state=x"))).text
    assert FLOW not in browser.client.cookies
    browser.client.cookies.set(FLOW, flow, domain="localhost.local")
    assert (await browser.get(callback)).status_code == 303
    browser.client.cookies.set(FLOW, flow, domain="localhost.local")
    replayed = await browser.get(callback)
    assert replayed.status_code == 422
    assert "the code was refused" in replayed.text


async def test_a_flow_cookie_of_one_provider_is_none_of_another(portal, issuer):
    issuer.person = google()
    browser = stranger(portal)
    callback = await agree((await browser.get("/sign-in/google")).headers["location"])
    answer = await browser.get(callback.replace("/google/", "/github/"))
    assert answer.status_code == 422
    for cookie in ("", "x", "A" * 3_600, "\u2028"):
        odd = await portal.browser().get(callback, headers={"cookie": f"pe_flow={cookie}".encode()})
        assert odd.status_code == 422


@pytest.mark.parametrize("provider", ["google", "github"])
@pytest.mark.parametrize("status", [500, 503, 404, 302])
async def test_an_issuer_that_fails_is_told_and_no_fault_of_ours(portal, issuer, provider, status):
    issuer.person = google()
    browser = stranger(portal)
    location = (await browser.get(f"/sign-in/{provider}")).headers["location"]
    callback = await agree(location)
    issuer.status = status
    answer = await browser.get(callback)
    assert answer.status_code in {422, 503}
    assert 'role="alert"' in answer.text


async def test_an_issuer_that_is_slow_or_gone_is_told(portal, issuer, monkeypatch):
    monkeypatch.setattr(elsewhere, "TIMEOUT", 0.2)
    issuer.delay = 2
    slow = await stranger(portal).get("/sign-in/google")
    assert slow.status_code == 503
    assert "does not answer now" in slow.text
    before = portal.settings.sign_in
    portal.settings.sign_in = before.model_copy(update={"google_issuer": "http://127.0.0.1:1"})
    gone = await stranger(portal).get("/sign-in/google")
    portal.settings.sign_in = before
    assert gone.status_code == 503


async def test_discovery_of_another_issuer_is_not_believed(portal, issuer):
    url, issuer.url = issuer.url, "http://127.0.0.1:9/evil"
    try:
        assert (await stranger(portal).get("/sign-in/google")).status_code == 503
    finally:
        issuer.url = url


async def test_an_account_is_connected_by_hand_and_then_signs_in(portal, owner, issuer):
    issuer.person = google()
    answer = await by_form(owner.browser, "connect")
    assert answer.headers["location"] == "/account/connections?done=connected"
    assert "account_connected" in [name for name, _ in await mails_to(portal, owner.email)]
    browser = stranger(portal)
    assert (await sign_in(browser)).status_code == 303
    assert (await browser.get("/api/account")).json()["email"] == owner.email
    page = (await owner.browser.get("/account/connections")).text
    assert issuer.person["email"] in page


async def test_connecting_needs_a_fresh_proof_and_the_form_of_who_is_signed_in(portal, owner, issuer):
    issuer.person = google()
    foreign = await owner.browser.client.post("/sign-in/google", data={"intent": "connect", "csrf": "0" * 64})
    assert foreign.status_code == 403
    assert (await owner.browser.get("/sign-in/google?intent=connect")).status_code == 303, "a link only signs in"
    await age_proof(portal, owner)
    answer = await by_form(owner.browser, "connect")
    assert answer.status_code == 403
    assert (await owner.browser.get("/api/account/connections")).json()["data"] == []


async def test_an_account_of_another_person_is_not_connected(portal, owner, issuer):
    issuer.person = google()
    await by_form(owner.browser, "connect")
    other = await portal.person()
    answer = await by_form(other.browser, "connect")
    assert answer.status_code == 409
    assert "another person" in answer.text


async def test_a_flow_that_another_person_began_connects_nothing(portal, owner, issuer):
    issuer.person = google()
    page = await owner.browser.post("/sign-in/google", {"intent": "connect"})
    url = unescape(re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', page.text).group(1))
    callback = await agree(url)
    other = await portal.person()
    other.browser.client.cookies.set(FLOW, owner.browser.client.cookies[FLOW], domain="localhost.local")
    answer = await other.browser.get(callback)
    assert answer.status_code == 401
    assert (await other.browser.get("/api/account/connections")).json()["data"] == []


async def test_the_last_way_in_is_not_disconnected(portal, owner, issuer):
    issuer.person = google()
    await by_form(owner.browser, "connect")
    (one,) = (await owner.browser.get("/api/account/connections")).json()["data"]
    await portal.pool.execute("update users set password = $2 where id = $1", owner.user_id, NO_PASSWORD)
    told = await owner.browser.post(f"/account/connections/{one['id']}/remove")
    assert told.status_code == 409
    assert "only way to sign in" in told.text
    assert (await owner.browser.post("/account/password", {"new": PASSWORD})).status_code == 303
    assert (await owner.browser.api("DELETE", f"/account/connections/{one['id']}")).status_code == 204
    assert (await owner.browser.api("DELETE", f"/account/connections/{one['id']}")).status_code == 404
    assert (await sign_in(stranger(portal))).status_code == 303, "a new account: nothing is connected any more"


async def test_anothers_connection_does_not_exist(portal, owner, issuer):
    issuer.person = google()
    await by_form(owner.browser, "connect")
    (one,) = (await owner.browser.get("/api/account/connections")).json()["data"]
    other = await portal.person()
    assert (await other.browser.api("DELETE", f"/account/connections/{one['id']}")).status_code == 404
    assert len((await owner.browser.get("/api/account/connections")).json()["data"]) == 1


async def test_a1_who_has_no_password_proves_with_the_connected_account_and_gets_a_new_token(portal, issuer):
    issuer.person = google()
    browser = stranger(portal)
    await sign_in(browser)
    user = await user_of(portal, issuer.person["email"])
    await portal.pool.execute(
        "update portal_session set proven_at = now() - interval '1 h' where user_id = $1", user["id"]
    )
    assert (await browser.get("/account/factor")).headers["location"].startswith("/prove")
    assert "Sign in again with Google" in (await browser.get("/prove")).text
    old, mine = browser.client.cookies[SESSION], issuer.person
    issuer.person = google()
    assert (await by_form(browser, "prove", next_path="/account/tokens")).status_code == 403
    issuer.person = {**mine, "auth_time": 1_000_000_000}
    assert (await by_form(browser, "prove", next_path="/account/tokens")).status_code == 422, "it asked long ago"
    issuer.person = mine
    answer = await by_form(browser, "prove", next_path="/account/tokens")
    assert answer.headers["location"] == "/account/tokens"
    assert browser.client.cookies[SESSION] != old
    assert (await browser.get("/account/factor")).headers["location"] == "/account/security"


async def test_the_second_factor_is_asked_for_after_an_account_elsewhere_too(portal, owner, issuer):
    issuer.person = google()
    await by_form(owner.browser, "connect")
    await portal.pool.execute(
        "insert into totp_factor (user_id, secret, confirmed_at) values ($1, 'x', now())", owner.user_id
    )
    browser = stranger(portal)
    assert (await sign_in(browser)).headers["location"].startswith("/sign-in/factor")
    assert (await browser.get("/api/account")).status_code == 401


async def test_a_disabled_person_does_not_get_in(portal, owner, issuer):
    issuer.person = google()
    await by_form(owner.browser, "connect")
    await portal.pool.execute("update users set active = false where id = $1", owner.user_id)
    answer = await sign_in(stranger(portal))
    assert answer.status_code == 401
    assert "not active" in answer.text


async def test_only_what_is_configured_is_offered(portal, owner, issuer):
    assert (await stranger(portal).get("/sign-in/facebook")).status_code == 404
    assert "Google" in (await stranger(portal).get("/sign-in")).text
    before = portal.settings.sign_in
    portal.settings.sign_in = SignInSettings()
    try:
        assert (await stranger(portal).get("/sign-in/google")).status_code == 404
        assert "Google" not in (await owner.browser.get("/account/connections")).text
    finally:
        portal.settings.sign_in = before


async def test_a10_after_an_account_elsewhere_only_own_paths_are_gone_to(portal, issuer):
    issuer.person = google()
    assert (await sign_in(stranger(portal), next_path="//evil.example")).headers["location"] == "/organizations"
