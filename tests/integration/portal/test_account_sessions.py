"""The browsers in which a person is signed in, and their access tokens."""

import asyncio

import pytest

from domain.identity.browsers import browser_name
from portal.web.cookies import SESSION
from tests.accounts import bearer

AGENTS = {
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36": (
        "Chrome on Windows"
    ),
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36 Edg/126.0": "Edge on Windows",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15": "Safari on macOS",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605 CriOS/126 Mobile Safari/604": "Chrome on iPhone",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0": "Firefox on Linux",
    "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 SamsungBrowser/25.0 Chrome/121 Mobile": "Samsung Internet on Android",
    "curl/8.5.0": "curl",
    "": "Unknown browser",
    "Something else entirely": "Something else entirely",
}


@pytest.mark.parametrize(("agent", "words"), AGENTS.items(), ids=AGENTS.values())
def test_browsers_are_named_in_plain_words(agent, words):
    assert browser_name(agent) == words


async def sessions_of(person):
    return (await person.browser.get("/api/account/sessions")).json()["data"]


async def test_sessions_are_listed_with_this_one_first(portal, owner):
    await portal.sign_in(owner.user_id)
    await portal.person()
    found = await sessions_of(owner)
    assert [one["current"] for one in found] == [True, False]
    assert {one["address"] for one in found} == {"127.0.0.1"}
    page = (await owner.browser.get("/account/sessions")).text
    assert page.count("this browser") == 1
    assert page.count("Test Browser 1.0") >= 2


async def test_a7_a_browser_that_calls_itself_a_script_is_shown_escaped(portal, owner):
    await portal.pool.execute(
        "update portal_session set user_agent = '<script>alert(1)</script>\" onx=\"' where user_id = $1", owner.user_id
    )
    page = (await owner.browser.get("/account/sessions", headers={"user-agent": "x"})).text
    assert "<script>alert" not in page
    assert '" onx="' not in page


async def test_a2_one_session_is_ended_and_its_cookie_opens_nothing(portal, owner):
    other = await portal.sign_in(owner.user_id)
    (one,) = [one for one in await sessions_of(owner) if not one["current"]]
    answer = await owner.browser.post(f"/account/sessions/{one['id']}/end")
    assert answer.headers["location"] == "/account/sessions?done=session_ended"
    assert (await other.get("/api/account")).status_code == 401
    assert (await owner.browser.api("DELETE", f"/account/sessions/{one['id']}")).status_code == 404


async def test_a2_all_others_are_ended_and_this_one_stays(portal, owner):
    others = [await portal.sign_in(owner.user_id) for _ in range(3)]
    stranger = await portal.person()
    assert (await owner.browser.api("DELETE", "/account/sessions")).json() == {"ended": 3}
    assert [(await other.get("/api/account")).status_code for other in others] == [401] * 3
    assert (await owner.browser.get("/api/account")).status_code == 200
    assert (await stranger.browser.get("/api/account")).status_code == 200


async def test_ending_this_session_signs_out(owner):
    (one,) = await sessions_of(owner)
    answer = await owner.browser.post(f"/account/sessions/{one['id']}/end")
    assert answer.headers["location"] == "/sign-in?done=signed_out"
    assert SESSION not in owner.browser.client.cookies


async def test_anothers_session_does_not_exist(portal, owner):
    other = await portal.person()
    (one,) = await sessions_of(other)
    assert (await owner.browser.post(f"/account/sessions/{one['id']}/end")).status_code == 404
    assert (await owner.browser.api("DELETE", f"/account/sessions/{one['id']}")).status_code == 404
    assert (await other.browser.get("/api/account")).status_code == 200


async def make(person, **change):
    body = {"name": "nightly", "organization": person.organization.slug, "read_only": True, "days": 30, **change}
    return await person.browser.api("POST", "/account/tokens", body)


async def use(portal, token, method="GET", **options):
    headers = {"authorization": f"Bearer {token}"}
    return await portal.browser().client.request(method, "/api/organization", headers=headers, **options)


async def test_a_token_is_made_on_the_page_shown_once_and_works(portal, owner):
    form = {"name": "nightly", "organization": owner.organization.slug, "scope": "write", "lasts": "never"}
    page = await owner.browser.post("/account/tokens", form)
    assert page.status_code == 200
    token = page.text.partition('<code tabindex="0">')[2].partition("<")[0]
    assert token.startswith("pe_pat_")
    assert (await use(portal, token)).json()["slug"] == owner.organization.slug
    assert (await use(portal, token, "PATCH", json={"name": "Renamed"})).status_code == 200
    again = (await owner.browser.get("/account/tokens")).text
    assert token not in again
    assert f"pe_pat_...{token[-4:]}" in again
    (one,) = (await owner.browser.get("/api/account/tokens")).json()["data"]
    assert one["last_used_at"] is not None
    assert one["expires_at"] is None


async def test_a_read_only_token_changes_nothing_and_a_revoked_one_is_refused(portal, owner):
    made = (await make(owner)).json()
    assert (await use(portal, made["token"], "PATCH", json={"name": "Renamed"})).status_code == 403
    answer = await owner.browser.post(f"/account/tokens/{made['id']}/revoke")
    assert answer.headers["location"] == "/account/tokens?done=token_revoked"
    assert (await use(portal, made["token"])).status_code == 401
    assert (await owner.browser.api("DELETE", f"/account/tokens/{made['id']}")).status_code == 204, "again: no change"
    assert (await owner.browser.get("/api/account/tokens")).json()["data"] == []


async def test_an_expired_token_is_refused_and_said_to_be_expired(portal, owner):
    made = (await make(owner)).json()
    await portal.pool.execute("update access_token set expires_at = now() where user_id = $1", owner.user_id)
    assert (await use(portal, made["token"])).status_code == 401
    assert "expired" in (await owner.browser.get("/account/tokens")).text


@pytest.mark.parametrize(
    "change", [{"name": ""}, {"name": "x" * 121}, {"days": 31}, {"organization": "Not A Slug"}, {"more": 1}]
)
async def test_a_token_that_cannot_be_is_told(owner, change):
    assert (await make(owner, **change)).status_code == 422


async def test_the_page_tells_and_keeps_what_was_chosen(owner):
    form = {"name": "kept name", "organization": owner.organization.slug, "scope": "write", "lasts": "7"}
    told = await owner.browser.post("/account/tokens", form)
    assert told.status_code == 422
    assert "kept name" in told.text
    assert 'value="write" selected' in told.text


async def test_a_token_for_anothers_organization_is_not_made(portal, owner):
    other = await portal.person()
    answer = await make(owner, organization=other.organization.slug)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_anothers_token_does_not_exist(portal, owner):
    other = await portal.person()
    made = (await make(other)).json()
    assert (await owner.browser.api("DELETE", f"/account/tokens/{made['id']}")).status_code == 404
    assert (await use(portal, made["token"])).status_code == 200


async def test_a_repeat_under_one_idempotency_key_makes_one_and_shows_it_once(owner):
    body = {"name": "once", "organization": owner.organization.slug}
    headers = {"idempotency-key": "create-once"}
    first = await owner.browser.api("POST", "/account/tokens", body, headers)
    again = await owner.browser.api("POST", "/account/tokens", body, headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["token"].startswith("pe_pat_")
    assert again.json()["token"] is None
    assert len((await owner.browser.get("/api/account/tokens")).json()["data"]) == 1


async def test_g7_a_token_is_stored_nowhere(portal, owner):
    token = (await make(owner)).json()["token"]
    for table in ("access_token", "audit_entry", "api_reply", "outbox_message"):
        dump = await portal.pool.fetchval(f"select coalesce(string_agg(t::text, ' '), '') from {table} t")
        assert token not in dump


async def test_a12_fifty_tokens_are_the_most_however_many_are_asked_for_at_once(portal, owner):
    for _ in range(49):
        await bearer(portal, owner)
    answers = await asyncio.gather(*(make(owner) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]


async def test_who_leaves_an_organization_takes_no_token_along(portal, owner):
    member = await portal.person("developer", owner.organization)
    token = (await make(member)).json()["token"]
    await portal.pool.execute("delete from membership where user_id = $1", member.user_id)
    assert (await use(portal, token)).status_code == 404
