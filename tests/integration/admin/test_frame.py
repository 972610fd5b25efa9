"""What holds for every page of the back office: who gets in, what a form needs, that a change is written down."""

import re

import pyotp
import pytest

from admin.actions.table import ACTIONS
from admin.pages.table import PAGES
from admin.web.admission import Audience
from admin.web.cookies import SESSION
from domain.operators import OPERATOR_ROLES
from portal.web.cookies import cookie_name
from portal.web.forgery import FIELD
from tests.admins import running_back_office
from tests.portals import PASSWORD, portal_settings


async def test_an_operator_signs_in_with_a_password_and_then_a_code_that_is_good_once(office):
    user_id, email = await office.user()
    await office.appoint(user_id, "support")
    browser = office.browser()
    answer = await browser.post("/sign-in", {"email": email, "password": PASSWORD, "next": "/actions"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/actions")
    await browser.post("/account/factor", {"password": PASSWORD})
    secret = (await browser.get("/account")).text.split("secret=")[1].split("&")[0]
    codes = await browser.post("/account/factor/confirm", {"code": pyotp.TOTP(secret).now()})
    assert "shown only this once" in codes.text
    second = office.browser()
    answer = await second.post("/sign-in", {"email": email, "password": PASSWORD})
    assert answer.headers["location"].startswith("/sign-in/factor")
    assert (await second.get("/")).headers["location"] == "/sign-in", "the password alone opens nothing"
    wrong = await second.post("/sign-in/factor", {"code": "000000"})
    assert wrong.status_code == 403
    spent = await second.post("/sign-in/factor", {"code": pyotp.TOTP(secret).now()})
    assert spent.status_code == 403, "the code that set it up is used"
    recovery = codes.text.split("<code>")[1].splitlines()[0]
    right = await second.post("/sign-in/factor", {"code": recovery})
    assert right.status_code == 303, (recovery, right.text)
    assert (await second.get("/")).status_code == 200


@pytest.mark.parametrize("password", [PASSWORD, "wrong password"])
async def test_a_customer_is_told_the_same_whatever_they_know(office, password):
    _, email = await office.user()
    answer = await office.browser().post("/sign-in", {"email": email, "password": password})
    assert answer.status_code == 401
    assert "The e-mail address or the password is wrong" in answer.text


async def test_guessing_is_slowed_down_for_a_finite_time_and_does_not_lock_a_known_browser_out(office):
    user_id, email = await office.user()
    await office.appoint(user_id, "admin")
    known = office.browser()
    assert (await known.post("/sign-in", {"email": email, "password": PASSWORD})).status_code == 303
    stranger = office.browser("203.0.113.77")
    statuses = [
        (await stranger.post("/sign-in", {"email": email, "password": f"guess {n}"})).status_code for n in range(8)
    ]
    assert statuses.count(401) <= 5
    last = await stranger.post("/sign-in", {"email": email, "password": PASSWORD})
    assert last.status_code == 429
    assert 1 <= int(last.headers["retry-after"]) <= 86_400
    await known.post("/sign-out")
    assert (await known.post("/sign-in", {"email": email, "password": PASSWORD})).status_code == 303


async def test_a_session_ends_with_the_role_and_a_portal_session_opens_nothing(office, superuser):
    assert (await superuser.browser.get("/")).status_code == 200
    await office.appoint(superuser.user_id, None)
    assert (await superuser.browser.get("/")).headers["location"] == "/sign-in"
    await office.appoint(superuser.user_id, "admin")
    await office.pool.execute("update portal_session set face = 'portal' where user_id = $1", superuser.user_id)
    assert (await superuser.browser.get("/")).headers["location"] == "/sign-in"


async def test_where_a_second_factor_is_required_nothing_opens_without_one(database_url, redis_url, tmp_path):
    settings = portal_settings(database_url, redis_url, tmp_path)
    async with running_back_office(settings, factor_required=True) as office:
        operator = await office.operator("superuser")
        for path in ("/", "/actions", "/actions/suspend-organization"):
            answer = await operator.browser.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/account"), path
        assert "Nothing else opens" in (await operator.browser.get("/account")).text


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.audience is not Audience.ANYONE], ids=lambda p: p.method + p.path
)
async def test_nobody_gets_in_without_a_session(office, page):
    path = page.path.replace("{slug}", "suspend-organization").replace("{user_id:int}", "1")
    path = re.sub(r"\{\w+:uuid\}", "019ac0de-0000-7000-8000-000000000000", path)
    browser = office.browser()
    answer = await (browser.get(path) if page.method == "GET" else browser.post(path))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")


async def test_a_form_of_another_site_or_another_session_does_nothing(office, superuser):
    organization = await office.organization()
    values = {"organization": organization.slug}
    foreign = await superuser.browser.post(
        "/actions/suspend-organization/preview", values, headers={"sec-fetch-site": "cross-site"}
    )
    assert foreign.status_code == 403
    stale = await superuser.browser.post("/actions/suspend-organization/preview", {**values, FIELD: "x" * 64})
    assert stale.status_code == 403


@pytest.mark.parametrize("role", OPERATOR_ROLES)
@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.slug)
async def test_only_roles_with_the_right_reach_an_action(office, role, action):
    operator = await office.operator(role)
    may = action.right in OPERATOR_ROLES[role]
    assert (await operator.browser.get(action.path)).status_code == (200 if may else 403)
    preview = await operator.browser.post(f"{action.path}/preview")
    assert (preview.status_code == 403) is not may
    done = await operator.browser.post(action.path, {"reason": "a test"})
    assert (done.status_code == 403) is not may
    assert (action.path in (await operator.browser.get("/actions")).text) is may


async def test_an_action_is_carried_out_once_with_a_reason_as_it_was_previewed(office, superuser):
    organization = await office.organization("Acme & Sons")
    seen = await superuser.browser.preview("suspend-organization", organization=organization.slug)
    assert seen.status_code == 200
    assert "refused with 403" in seen.text
    values = {"organization": organization.slug, "seen": "0" * 64, "once": "a" * 24}
    assert (await superuser.browser.post("/actions/suspend-organization", values)).status_code == 422
    changed = await superuser.browser.post("/actions/suspend-organization", {**values, "reason": "late payments"})
    assert changed.status_code == 409
    assert await _state(office, organization) == "active"
    done = await superuser.browser.act("suspend-organization", "late payments", organization=organization.slug)
    assert done.status_code == 200
    assert await _state(office, organization) == "suspended"
    entry = await office.pool.fetchrow("select * from audit_entry where object_id = $1", str(organization.id))
    assert (entry["verb"], entry["reason"]) == ("organization.suspend", "late payments")
    assert (entry["actor_kind"], entry["actor_name"]) == ("operator", superuser.email)
    assert entry["request_id"] == done.headers["x-request-id"]


async def test_a_form_that_is_sent_twice_is_carried_out_once(office, superuser):
    organization = await office.organization()
    sent = []

    async def keep(request):
        sent.append(request)

    superuser.browser.client.event_hooks["request"].append(keep)
    await superuser.browser.act("suspend-organization", organization=organization.slug)
    superuser.browser.client.event_hooks["request"].clear()
    again = await superuser.browser.client.send(sent[-1])
    assert again.status_code == 409
    await superuser.browser.act("restore-organization", organization=organization.slug)
    replayed = await superuser.browser.client.send(sent[-1])
    assert replayed.status_code == 409
    assert "sent before" in replayed.text
    assert await _state(office, organization) == "active"


async def test_the_cookie_is_kept_from_scripts_and_other_sites(office):
    user_id, email = await office.user()
    await office.appoint(user_id, "analyst")
    answer = await office.browser().post("/sign-in", {"email": email, "password": PASSWORD})
    cookie = next(
        c for c in answer.headers.get_list("set-cookie") if c.startswith(cookie_name(office.settings.admin, SESSION))
    )
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


async def _state(office, organization) -> str:
    return await office.pool.fetchval("select state from organization where id = $1", organization.id)
