"""What holds for every page and every call, shown on the organization's own page."""

import pytest
from starlette.routing import Route

from portal.api.endpoint import Endpoint
from portal.web.admission import Audience
from portal.web.guarding import CONTENT_SECURITY_POLICY
from portal.web.page import PageRoute


async def test_a9_every_answer_has_the_protecting_headers(portal, owner):
    for answer in (await owner.browser.get(f"{owner.root}/settings"), await owner.browser.get("/api/organization")):
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-request-id"]


async def test_nobody_is_sent_to_sign_in_and_a_program_is_told(portal):
    browser = portal.browser()
    page = await browser.get("/o/whatever/settings")
    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=/o/whatever/settings")
    call = await browser.get("/api/organization")
    assert call.status_code == 401
    assert call.headers["content-type"] == "application/problem+json"
    assert call.json()["code"] == "not_signed_in"


async def test_anothers_organization_does_not_exist(portal, owner):
    other = await portal.person()
    assert (await owner.browser.get(f"{other.root}/settings")).status_code == 404
    assert (await owner.browser.get("/o/no-such-one/settings")).status_code == 404
    named = {"pe-organization": other.organization.slug}
    assert (await owner.browser.get("/api/organization", headers=named)).status_code == 404


async def test_a_form_changes_the_name_and_the_trail_says_who(portal, owner):
    answer = await owner.browser.post(f"{owner.root}/settings", {"name": "Renamed <b>"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{owner.root}/settings?done=saved")
    page = await owner.browser.get(answer.headers["location"])
    assert "Renamed &lt;b&gt;" in page.text
    assert "Saved." in page.text
    row = await portal.pool.fetchrow(
        "select * from audit_entry where organization_id = $1 and verb = 'organization.change'", owner.organization.id
    )
    assert (row["actor_id"], row["actor_name"]) == (owner.user_id, owner.email)
    assert row["address"] == "127.0.0.1"


async def test_a_bad_value_is_told_beside_what_was_written(owner):
    answer = await owner.browser.post(f"{owner.root}/settings", {"name": "x" * 121})
    assert answer.status_code == 422
    assert "1 to 120 characters" in answer.text
    assert "x" * 121 in answer.text


async def test_a_viewer_may_look_and_not_change(portal, owner):
    viewer = await portal.person("viewer", owner.organization)
    assert (await viewer.browser.get(f"{owner.root}/settings")).status_code == 200
    assert (await viewer.browser.post(f"{owner.root}/settings", {"name": "Mine"})).status_code == 403
    call = await viewer.browser.api("PATCH", "/organization", json={"name": "Mine"})
    assert (call.status_code, call.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "null"}, {"origin": "http://evil"}],
)
async def test_a4_forms_from_elsewhere_do_nothing(portal, owner, headers):
    answer = await owner.browser.post(f"{owner.root}/settings", {"name": "Stolen"}, headers=headers)
    assert answer.status_code == 403
    assert await portal.pool.fetchval("select name from organization where id = $1", owner.organization.id) != "Stolen"


@pytest.mark.parametrize("token", ["", "0" * 64, None])
async def test_a4_forms_without_the_sessions_token_do_nothing(portal, owner, token):
    other = await portal.person()
    given = other.browser.csrf if token is None else token
    answer = await owner.browser.client.post(f"{owner.root}/settings", data={"name": "Stolen", "csrf": given})
    assert answer.status_code == 403
    call = await owner.browser.api("PATCH", "/organization", json={"name": "Stolen"}, headers={"x-csrf-token": given})
    assert call.status_code == 403
    assert await portal.pool.fetchval("select name from organization where id = $1", owner.organization.id) != "Stolen"


async def test_a4_json_that_calls_itself_text_is_refused(owner):
    call = await owner.browser.client.patch(
        "/api/organization",
        content=b'{"name": "Stolen"}',
        headers={"content-type": "text/plain", "x-csrf-token": owner.browser.csrf},
    )
    assert call.status_code == 415


async def test_a_host_that_is_not_ours_is_refused(owner):
    answer = await owner.browser.get("/", headers={"host": "evil.example"})
    assert answer.status_code == 421


async def test_unknown_members_and_parameters_are_told(owner):
    call = await owner.browser.api("PATCH", "/organization", json={"name": "Fine", "nmae": "x"})
    assert call.status_code == 422
    assert call.json()["errors"][0]["field"] == "nmae"


async def test_unknown_paths_are_404_in_the_form_of_their_face(owner):
    assert "text/html" in (await owner.browser.get("/nothing/here")).headers["content-type"]
    assert (await owner.browser.get("/api/nothing")).json()["status"] == 404


async def test_styles_are_kept_for_a_year_under_a_name_of_their_content(owner):
    page = await owner.browser.get(f"{owner.root}/settings")
    path = page.text.partition('rel="stylesheet" href="')[2].partition('"')[0]
    answer = await owner.browser.get(path)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize("path", ["/sign-in", "/organizations/new", "/api/auth/session", "/nothing/here"])
async def test_a8_nothing_can_be_framed_by_another_site(owner, path):
    answer = await owner.browser.get(path)
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "DENY"


async def broken(visit):
    """A fault that nobody foresaw, with what must not be told."""
    raise RuntimeError(f"select secret from users where address = '{visit.address}' in /srv/portal/handler.py")


@pytest.mark.parametrize(
    "route",
    [
        PageRoute("/broken", broken, audience=Audience.ANYONE),
        Endpoint("GET", "/broken", broken, "Broken", "test", audience=Audience.ANYONE),
    ],
    ids=["page", "call"],
)
async def test_a15_an_unforeseen_fault_tells_its_request_id_and_nothing_else(portal, route, caplog):
    added = Route(route.url_path, route.serve)
    portal.app.router.routes.insert(0, added)
    try:
        answer = await portal.browser().get(route.url_path)
    finally:
        portal.app.router.routes.remove(added)
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] in answer.text
    for word in ("select", "secret", "RuntimeError", "Traceback", "handler.py", "127.0.0.1", "Python"):
        assert word not in answer.text
    assert answer.headers["x-request-id"] in caplog.text
