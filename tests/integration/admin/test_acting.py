"""An operator acts as a customer: seen by everybody, bounded in time and reach, and ended at once by whatever ends it."""

import re

import pytest

from domain.audit import Actor
from domain.identity.acting import end_acting_of
from domain.random_tokens import digest_of
from domain.redis_keys import acting_link_key
from portal.web.cookies import SESSION, cookie_name
from portal.web.forgery import FIELD
from tests.integration.admin.acting import Faces
from tests.portals import PASSWORD, running_portal

_CLOCK = re.compile(r"until <strong[^>]*>\d\d:\d\d UTC</strong>")


@pytest.fixture(scope="session")
async def faces(office) -> Faces:
    """The back office with a portal beside it."""
    async with running_portal(office.settings) as portal:
        yield Faces(office, portal)


@pytest.fixture
async def customer(faces):
    """Somebody who owns an organization."""
    return await faces.portal.person("owner")


async def test_an_operator_sees_the_customers_pages_with_a_banner_and_changes_nothing(faces, customer):
    operator = await faces.office.operator("support")
    browser = await faces.acting(operator, customer.organization.slug)
    for path in ("", "/keys", "/logs", "/credits", "/team", "/webhooks", "/audit", "/settings", "/subscription"):
        page = await browser.get(customer.root + path)
        assert page.status_code == 200, path
        assert "act as <strong>" in page.text, path
        assert _CLOCK.search(page.text), path
        assert 'href="/account"' not in page.text, path
    refused = await browser.post(f"{customer.root}/settings", {"name": "Mine now"})
    assert refused.status_code == 403
    assert "may only look" in refused.text
    api = await browser.api("POST", "/keys", json={"name": "mine"})
    assert (api.status_code, "may only look" in api.json()["detail"]) == (403, True)
    assert (await browser.api("GET", "/keys")).status_code == 200


async def test_what_an_operator_changes_stands_in_the_customers_audit_as_an_operators(faces, customer):
    operator = await faces.office.operator("admin")
    browser = await faces.acting(operator, customer.organization.slug, may_change="yes")
    changed = await browser.post(f"{customer.root}/settings", {"name": "Renamed by us"})
    assert changed.status_code == 303
    await browser.post("/stop-acting")
    rows = await faces.office.pool.fetch(
        "select verb, actor_kind, actor_id, actor_name, reason from audit_entry where organization_id = $1 order by created_at",
        customer.organization.id,
    )
    verbs = [row["verb"] for row in rows]
    expected = ["operator.act_ask", "operator.act_begin", "organization.change", "operator.act_end"]
    assert [verb for verb in verbs if verb in expected] == expected
    ours = [row for row in rows if row["verb"] in expected]
    assert {(row["actor_kind"], row["actor_id"], row["actor_name"]) for row in ours} == {
        ("operator", operator.user_id, operator.email)
    }
    assert [row["reason"] for row in ours[:2]] == ["a customer asked for help"] * 2
    seen = await customer.browser.get(f"{customer.root}/audit")
    assert "began to act as" in seen.text
    assert "a customer asked for help" in seen.text
    assert operator.email not in seen.text, "who operates the product is not for its customers"


async def test_a_change_that_writes_no_entry_of_its_own_is_noted_by_its_name(faces, customer):
    operator = await faces.office.operator("admin")
    browser = await faces.acting(operator, customer.organization.slug, may_change="yes")
    await browser.post(f"{customer.root}/keys/new", {"name": ""})
    noted = await faces.office.pool.fetchval(
        "select object_name from audit_entry where organization_id = $1 and verb = 'operator.act_request'",
        customer.organization.id,
    )
    assert noted is not None
    assert noted.startswith("POST /o/")


async def test_support_may_only_look(faces, customer):
    operator = await faces.office.operator("support")
    answer = await operator.browser.preview(
        "act-as-customer", organization=customer.organization.slug, may_change="yes"
    )
    assert answer.status_code == 403
    assert "Your role is support" in answer.text


@pytest.mark.parametrize("minutes", ["0", "31", "481", "-5", "ten"])
async def test_the_time_box_has_a_ceiling(faces, customer, superuser, minutes):
    answer = await superuser.browser.preview(
        "act-as-customer", organization=customer.organization.slug, minutes=minutes
    )
    assert answer.status_code == 422


async def test_a_link_is_good_once(faces, customer, superuser):
    path = await faces.link(superuser, customer.organization.slug)
    first, second = faces.portal.browser(), faces.portal.browser()
    assert (await first.post(path)).status_code == 303
    assert (await second.get(path)).status_code == 404
    assert (await second.post(path)).status_code == 404
    assert cookie_name(faces.portal.settings.portal, SESSION) not in second.client.cookies


async def test_fetching_a_link_uses_nothing_up_and_tells_no_other_page_of_it(faces, customer, superuser):
    path = await faces.link(superuser, customer.organization.slug)
    browser = faces.portal.browser()
    for _ in range(3):
        page = await browser.get(path)
        assert page.status_code == 200
        assert page.headers["referrer-policy"] == "strict-origin"
        assert page.headers["cache-control"] == "no-store"
    assert await _acting_sessions(faces, superuser) == 0
    assert (await browser.post(path)).status_code == 303


async def test_a_link_dies_after_a_minute(faces, customer, superuser):
    path = await faces.link(superuser, customer.organization.slug)
    key = acting_link_key(digest_of(path.rpartition("/")[2]))
    redis = faces.portal.app.state.services.redis
    assert 0 < await redis.ttl(key) <= 60
    await redis.pexpire(key, 1)
    browser = faces.portal.browser()
    answer = await browser.get(path)
    for _ in range(50):
        if answer.status_code == 404:
            break
        answer = await browser.get(path)
    assert answer.status_code == 404
    assert (await browser.post(path)).status_code == 404


async def test_a_link_is_dead_in_another_browser(faces, customer, superuser):
    path = await faces.link(superuser, customer.organization.slug)
    browser = faces.portal.browser()
    browser.client.headers["user-agent"] = "Another Browser 2.0"
    assert (await browser.get(path)).status_code == 404
    assert (await browser.post(path)).status_code == 404
    assert await _acting_sessions(faces, superuser) == 0


async def test_another_site_can_not_make_a_browser_begin(faces, customer, superuser):
    path = await faces.link(superuser, customer.organization.slug)
    victim = await faces.portal.person("owner")
    foreign = await victim.browser.post(path, headers={"sec-fetch-site": "cross-site"})
    assert foreign.status_code == 403
    foreign = await victim.browser.post(path, headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403
    untied = await victim.browser.post(path, {FIELD: "x" * 64})
    assert untied.status_code == 403
    assert (await victim.browser.get(victim.root)).status_code == 200, "their session is as it was"
    assert await _acting_sessions(faces, superuser) == 0


@pytest.mark.parametrize(
    "token", ["x", "../../evil", "%2f%2fevil.example", "a" * 5000, "%00", "https:%2f%2fevil.example"]
)
async def test_made_up_links_open_nothing_and_lead_nowhere(faces, token):
    browser = faces.portal.browser()
    for answer in (await browser.get(f"/acting/{token}"), await browser.post(f"/acting/{token}")):
        assert answer.status_code in (404, 405), token
        assert "location" not in answer.headers


@pytest.mark.parametrize("loss", ["role", "demotion", "inactive", "closed"])
async def test_who_lost_the_right_since_begins_nothing_with_the_link(faces, customer, loss):
    operator = await faces.office.operator("admin")
    path = await faces.link(operator, customer.organization.slug, may_change="yes")
    await _lose(faces, operator, customer, loss)
    browser = faces.portal.browser()
    assert (await browser.get(path)).status_code == 403
    assert (await browser.post(path)).status_code == 403
    assert await _acting_sessions(faces, operator) == 0


@pytest.mark.parametrize("loss", ["role", "inactive", "closed", "time", "dismissed"])
async def test_it_ends_at_once(faces, customer, loss):
    operator = await faces.office.operator("admin")
    browser = await faces.acting(operator, customer.organization.slug)
    assert (await browser.get(customer.root)).status_code == 200
    await _lose(faces, operator, customer, loss)
    page = await browser.get(customer.root)
    assert (page.status_code, page.headers["location"][:8]) == (303, "/sign-in")
    assert (await browser.api("GET", "/keys")).status_code == 401


async def test_who_may_no_longer_change_goes_on_looking(faces, customer):
    operator = await faces.office.operator("admin")
    browser = await faces.acting(operator, customer.organization.slug, may_change="yes")
    await faces.office.appoint(operator.user_id, "support")
    assert (await browser.get(customer.root)).status_code == 200
    assert (await browser.post(f"{customer.root}/settings", {"name": "Mine"})).status_code == 403


async def test_stopping_ends_it_and_the_cookie_opens_nothing(faces, customer, superuser):
    browser = await faces.acting(superuser, customer.organization.slug)
    kept = browser.client.cookies[cookie_name(faces.portal.settings.portal, SESSION)]
    stopped = await browser.post("/stop-acting")
    assert stopped.headers["location"] == "/sign-in?done=acting_ended"
    again = faces.portal.browser()
    again.client.cookies.set(cookie_name(faces.portal.settings.portal, SESSION), kept, domain="localhost.local")
    assert (await again.get(customer.root)).status_code == 303
    ends = await faces.office.pool.fetchval(
        "select count(*) from audit_entry where organization_id = $1 and verb = 'operator.act_end'",
        customer.organization.id,
    )
    assert ends == 1


async def test_it_is_never_extended(faces, customer, superuser):
    browser = await faces.acting(superuser, customer.organization.slug, minutes="5")
    ends = "select expires_at from portal_session where user_id = $1 and acting_for is not null"
    before = await faces.office.pool.fetchval(ends, superuser.user_id)
    await faces.office.pool.execute(
        "update portal_session set last_seen_at = now() - interval '2 minutes' where user_id = $1", superuser.user_id
    )
    for path, values in (("/prove", {"password": PASSWORD}), (f"{customer.root}/settings", {"name": "x"})):
        await browser.post(path, values)
        await browser.get(customer.root)
    assert await faces.office.pool.fetchval(ends, superuser.user_id) == before


async def test_one_at_a_time(faces, customer, superuser):
    first = await faces.acting(superuser, customer.organization.slug)
    other = await faces.portal.person("owner")
    second = await faces.acting(superuser, other.organization.slug)
    assert (await first.get(customer.root)).status_code == 303
    assert (await second.get(other.root)).status_code == 200


async def test_it_takes_the_place_of_the_browsers_own_session_and_says_so(faces, customer, superuser):
    somebody = await faces.portal.person("viewer")
    path = await faces.link(superuser, customer.organization.slug)
    page = await somebody.browser.get(path)
    assert f"signed in to the portal as {somebody.email}" in page.text
    kept = somebody.browser.client.cookies[cookie_name(faces.portal.settings.portal, SESSION)]
    assert (await somebody.browser.post(path)).status_code == 303
    old = faces.portal.browser()
    old.client.cookies.set(cookie_name(faces.portal.settings.portal, SESSION), kept, domain="localhost.local")
    assert (await old.get(somebody.root)).status_code == 303


async def test_the_token_is_kept_as_a_digest_only(faces, customer, superuser, caplog):
    caplog.set_level("DEBUG")
    path = await faces.link(superuser, customer.organization.slug)
    token = path.rpartition("/")[2]
    await faces.portal.browser().post(path)
    redis = faces.portal.app.state.services.redis
    for key in await redis.keys("pe:{acting}:*"):
        assert token.encode() not in key
    kept = await faces.office.pool.fetchval("select string_agg(a::text, ' ') from audit_entry a")
    assert token not in kept
    assert token not in caplog.text
    replies = await faces.office.pool.fetchval("select string_agg(r::text, ' ') from api_reply r")
    assert token not in replies


async def test_nobody_acts_as_a_closed_customer(faces, customer, superuser):
    await faces.office.pool.execute("update organization set state = 'closed' where id = $1", customer.organization.id)
    answer = await superuser.browser.preview("act-as-customer", organization=customer.organization.slug)
    assert answer.status_code == 409


async def _acting_sessions(faces, operator) -> int:
    return await faces.office.pool.fetchval(
        "select count(*) from portal_session where user_id = $1 and acting_for is not null", operator.user_id
    )


async def _lose(faces, operator, customer, loss: str) -> None:
    pool = faces.office.pool
    if loss in ("role", "demotion"):
        await faces.office.appoint(operator.user_id, "support" if loss == "demotion" else None)
    elif loss == "inactive":
        await pool.execute("update users set active = false where id = $1", operator.user_id)
    elif loss == "closed":
        await pool.execute("update organization set state = 'closed' where id = $1", customer.organization.id)
    elif loss == "time":
        await pool.execute(
            "update portal_session set expires_at = now() where user_id = $1 and acting_for is not null",
            operator.user_id,
        )
    else:
        async with pool.acquire() as connection:
            assert await end_acting_of(connection, operator.user_id, Actor(), why="dismissed") == 1
