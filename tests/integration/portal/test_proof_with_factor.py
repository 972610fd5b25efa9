"""With an authenticator in force the password alone proves nothing: its code, or a recovery code, is shown as well."""

import pytest

from domain.passwords import NO_PASSWORD
from tests.accounts import age_proof
from tests.integration.portal.test_account_factor import code_of, set_up
from tests.mailboxes import mails_to
from tests.portals import PASSWORD


@pytest.fixture
async def secret(portal, owner):
    """Of an authenticator in force, with a proof that has aged."""
    made, _ = await set_up(owner)
    await age_proof(portal, owner)
    return made


async def prove(person, **shown):
    return await person.browser.api("POST", "/account/proof", shown)


async def is_proven(person):
    answer = await person.browser.api("POST", "/account/factor/recovery-codes")
    return answer.status_code == 200


async def test_the_password_alone_proves_nothing_and_says_what_is_missing(owner, secret):
    answer = await prove(owner, password=PASSWORD)
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_proof")
    assert "recovery code" in answer.json()["detail"]
    assert not await is_proven(owner)


async def test_the_password_and_the_code_prove_it(owner, secret):
    answer = await prove(owner, password=PASSWORD, code=code_of(secret))
    assert answer.status_code == 200, answer.text
    owner.browser.client.headers["x-csrf-token"] = answer.json()["csrf"]
    assert await is_proven(owner)


@pytest.mark.parametrize(("password", "steps"), [("wrong words here", 0), (PASSWORD, -3)])
async def test_one_of_both_that_is_wrong_proves_nothing_and_a_right_code_is_not_used_up(owner, secret, password, steps):
    answer = await prove(owner, password=password, code=code_of(secret, steps))
    assert answer.json()["code"] == "wrong_proof"
    assert (await prove(owner, password=PASSWORD, code=code_of(secret))).status_code == 200


async def test_a_recovery_code_stands_for_the_code_once_and_a_mail_tells_of_it(portal, owner):
    _, codes = await set_up(owner)
    await age_proof(portal, owner)
    assert (await prove(owner, password=PASSWORD, code=codes[0])).status_code == 200
    assert (await prove(owner, password=PASSWORD, code=codes[0])).json()["code"] == "wrong_proof"
    told = [values for name, values in await mails_to(portal, owner.email) if name == "recovery_code_used"]
    assert [values["left"] for values in told] == ["9"]


async def test_who_has_no_password_shows_the_code_alone(portal, owner, secret):
    await portal.pool.execute("update users set password = $2 where id = $1", owner.user_id, NO_PASSWORD)
    assert (await prove(owner, code=code_of(secret))).status_code == 200


async def test_the_page_asks_for_both(owner, secret):
    page = (await owner.browser.get("/prove?next=/account/tokens")).text
    assert 'name="password"' in page
    assert 'name="code"' in page
    form = {"password": PASSWORD, "code": code_of(secret), "next": "/account/tokens"}
    assert (await owner.browser.post("/prove", form)).headers["location"] == "/account/tokens"


async def test_a_new_password_needs_the_proof_too(owner, secret):
    change = {"old": PASSWORD, "new": "entirely new words"}
    assert (await owner.browser.api("POST", "/account/password", change)).json()["code"] == "proof_needed"
    assert (await owner.browser.post("/account/password", change)).headers[
        "location"
    ] == "/prove?next=/account/security"
    assert "Confirm that it is you" in (await owner.browser.get("/account/security")).text
    form = {"password": PASSWORD, "code": code_of(secret), "next": "/account/security"}
    assert (await owner.browser.post("/prove", form)).status_code == 303
    assert (await owner.browser.post("/account/password", change)).headers["location"].endswith("done=password_changed")
