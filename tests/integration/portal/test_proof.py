"""Grave changes need a fresh proof, and a proof gives the session a new token."""

import pytest

from domain.passwords import NO_PASSWORD
from portal.web.cookies import SESSION
from tests.accounts import age_proof
from tests.portals import PASSWORD

GRAVE_FORMS = [
    ("/account/email", {"email": "new@example.com"}),
    ("/account/factor", {}),
    ("/account/factor/codes", {}),
    ("/account/factor/off", {}),
    ("/account/tokens", {"name": "x"}),
    ("/account/deletion", {}),
    ("/account/connections/7e0c3b0e-2f86-4a55-9a55-8f2a5a1f0c11/remove", {}),
]
GRAVE_CALLS = [
    ("POST", "/account/email", {"email": "new@example.com"}),
    ("POST", "/account/factor", None),
    ("POST", "/account/factor/confirm", {"code": "123456"}),
    ("POST", "/account/factor/recovery-codes", None),
    ("DELETE", "/account/factor", None),
    ("POST", "/account/deletion", None),
    ("DELETE", "/account/connections/7e0c3b0e-2f86-4a55-9a55-8f2a5a1f0c11", None),
]


async def prove(browser, password=PASSWORD, next_path="/account/tokens"):
    return await browser.post("/prove", {"password": password, "next": next_path})


@pytest.mark.parametrize(("path", "form"), GRAVE_FORMS)
async def test_a_grave_form_with_an_old_proof_leads_to_a_new_one(portal, owner, path, form):
    await age_proof(portal, owner)
    answer = await owner.browser.post(path, form)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/prove?next=/account/")


@pytest.mark.parametrize(("method", "path", "body"), GRAVE_CALLS)
async def test_a_grave_call_with_an_old_proof_is_refused_with_what_to_do(portal, owner, method, path, body):
    await age_proof(portal, owner)
    answer = await owner.browser.api(method, path, body)
    assert (answer.status_code, answer.json()["code"]) == (403, "proof_needed")
    assert "/api/account/proof" in answer.json()["detail"]


async def test_a_grave_create_with_an_old_proof_is_refused(portal, owner):
    await age_proof(portal, owner)
    body = {"name": "x", "organization": owner.organization.slug}
    assert (await owner.browser.api("POST", "/account/tokens", body)).json()["code"] == "proof_needed"


async def test_a1_proving_again_gives_a_new_token_and_the_old_one_is_dead(portal, owner):
    await age_proof(portal, owner)
    old = owner.browser.client.cookies[SESSION]
    answer = await prove(owner.browser)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account/tokens")
    new = owner.browser.client.cookies[SESSION]
    assert new != old
    (field,) = answer.headers.get_list("set-cookie")
    assert "HttpOnly" in field
    assert "SameSite=lax" in field
    thief = portal.browser()
    thief.client.cookies.set(SESSION, old)
    assert (await thief.get("/account")).headers["location"] == "/sign-in?next=/account"
    assert (await owner.browser.post("/account/factor")).headers["location"] == "/account/factor"


async def test_a1_the_same_by_the_api_with_a_new_token_for_changes(owner, portal):
    await age_proof(portal, owner)
    old = owner.browser.client.cookies[SESSION]
    answer = await owner.browser.api("POST", "/account/proof", {"password": PASSWORD})
    assert answer.status_code == 200
    assert owner.browser.client.cookies[SESSION] != old
    assert answer.json()["csrf"] == owner.browser.csrf
    assert (await owner.browser.api("POST", "/account/factor")).status_code == 200


async def test_a_wrong_password_proves_nothing(portal, owner):
    await age_proof(portal, owner)
    told = await prove(owner.browser, "wrong")
    assert told.status_code == 403
    assert "This is not your password." in told.text
    call = await owner.browser.api("POST", "/account/proof", {"password": "wrong"})
    assert (call.status_code, call.json()["code"]) == (403, "wrong_proof")
    assert (await owner.browser.get("/account/factor")).headers["location"].startswith("/prove")


async def test_a6_proofs_are_not_guessed_for_long(owner):
    for _ in range(10):
        assert (await owner.browser.api("POST", "/account/proof", {"password": "wrong"})).status_code == 403
    refused = await owner.browser.api("POST", "/account/proof", {"password": PASSWORD})
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0


async def test_a10_after_a_proof_only_own_paths_are_gone_to(owner):
    assert (await prove(owner.browser, next_path="//evil.example")).headers["location"] == "/organizations"


async def test_who_has_neither_password_nor_factor_is_told_another_way(portal, owner):
    await portal.pool.execute("update users set password = $2 where id = $1", owner.user_id, NO_PASSWORD)
    page = await owner.browser.get("/prove")
    assert "Your account has no password" in page.text
    assert (await prove(owner.browser, "")).status_code == 403
    assert (await prove(owner.browser, NO_PASSWORD)).status_code == 403
