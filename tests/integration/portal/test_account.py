"""A person's own account: name and settings, on pages and by the API."""

import asyncio

import pytest

from portal.api.table import ENDPOINTS
from tests.accounts import bearer

SETTINGS = {"theme": "dark", "time_zone": "Europe/Berlin", "version": "0", "notify_usage": "yes"}


async def test_a_theme_takes_effect_on_the_very_next_page(owner):
    assert 'data-theme="system"' in (await owner.browser.get("/account")).text
    answer = await owner.browser.post("/account/settings", SETTINGS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account?done=saved")
    page = (await owner.browser.get("/account?done=saved")).text
    assert 'data-theme="dark"' in page
    assert 'value="Europe/Berlin" selected' in page
    assert "Saved." in page


async def test_settings_that_were_changed_elsewhere_are_not_overwritten(owner):
    assert (await owner.browser.post("/account/settings", SETTINGS)).status_code == 303
    again = await owner.browser.post("/account/settings", {**SETTINGS, "theme": "light"})
    assert again.status_code == 409
    assert "changed elsewhere" in again.text
    assert (await owner.browser.get("/api/settings")).json()["theme"] == "dark"


async def test_of_changes_at_once_for_one_version_one_wins(portal, owner):
    async def change(theme):
        return await owner.browser.api("PATCH", "/settings", {"theme": theme}, {"if-match": '"0"'})

    answers = await asyncio.gather(*(change(theme) for theme in ("dark", "light", "dark", "light")))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    assert await portal.pool.fetchval("select version from user_preference where user_id = $1", owner.user_id) == 1


@pytest.mark.parametrize("form", [{"theme": "neon"}, {"time_zone": "Europe/Atlantis"}, {"time_zone": "../etc/passwd"}])
async def test_settings_that_are_none_are_told(owner, form):
    answer = await owner.browser.post("/account/settings", {**SETTINGS, **form})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


async def test_the_api_changes_what_is_given_and_leaves_the_rest(owner):
    first = await owner.browser.get("/api/settings")
    assert first.headers["etag"] == '"0"'
    body = {"time_zone": "Asia/Tokyo", "notifications": {"news": True}}
    changed = await owner.browser.api("PATCH", "/settings", body, {"if-match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.json() == {
        "theme": "system",
        "time_zone": "Asia/Tokyo",
        "notifications": {"new_device": True, "usage": True, "news": True},
    }
    assert changed.headers["etag"] == '"1"'


@pytest.mark.parametrize(("header", "status"), [(None, 428), ("*", 412), ('"7"', 412), ('W/"0"', 412), ("x", 412)])
async def test_a_change_says_for_which_version_it_is(owner, header, status):
    headers = {} if header is None else {"if-match": header}
    answer = await owner.browser.api("PATCH", "/settings", {"theme": "dark"}, headers)
    assert answer.status_code == status
    assert answer.json()["code"] == ("version_needed" if status == 428 else "changed_meanwhile")


async def test_a_name_is_shown_escaped_and_the_trail_has_it(portal, owner):
    assert (await owner.browser.post("/account/name", {"name": "<script>alert(1)</script>"})).status_code == 303
    page = (await owner.browser.get("/account")).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    row = await portal.pool.fetchrow("select * from audit_entry where actor_id = $1", owner.user_id)
    assert row["verb"] == "account.change_name"


async def test_a_name_may_be_none_and_not_too_long(owner):
    assert (await owner.browser.api("PATCH", "/account", {"name": "Ada"})).json()["name"] == "Ada"
    assert (await owner.browser.api("PATCH", "/account", {"name": ""})).json()["name"] == ""
    assert (await owner.browser.api("PATCH", "/account", {"name": "x" * 121})).status_code == 422
    told = await owner.browser.post("/account/name", {"name": "y" * 121})
    assert told.status_code == 422
    assert "y" * 121 in told.text


async def test_nobody_sees_an_account_without_signing_in(portal):
    browser = portal.browser()
    for path in ("", "/security", "/sessions", "/connections", "/tokens", "/deletion"):
        answer = await browser.get(f"/account{path}")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next=/account{path}")


OWN = [endpoint for endpoint in ENDPOINTS if endpoint.path.startswith(("/account", "/settings"))]


@pytest.mark.parametrize("endpoint", OWN, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
async def test_an_access_token_may_not_see_or_change_identity(portal, owner, endpoint):
    headers = await bearer(portal, owner)
    path = endpoint.path.replace("{token_id:uuid}", "7e0c3b0e-2f86-4a55-9a55-8f2a5a1f0c11")
    path = path.replace("{session_id:uuid}", "7e0c3b0e-2f86-4a55-9a55-8f2a5a1f0c11")
    path = path.replace("{connection_id:uuid}", "7e0c3b0e-2f86-4a55-9a55-8f2a5a1f0c11")
    body = None
    if endpoint.body is not None:
        body = endpoint.body.model_config["json_schema_extra"]["examples"][0]
    answer = await portal.browser().client.request(endpoint.method, f"/api{path}", json=body, headers=headers)
    assert answer.status_code == 403, answer.text
    assert "access token" in answer.json()["detail"]
