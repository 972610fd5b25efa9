"""The confirmed bugs of piccolo-admin 1.14 (and of piccolo-api 1.11), each shown closed."""

import time

import pytest
from piccolo_api.crud.endpoints import PiccoloCRUD

from admin.tables.editors.table import EDITORS
from admin.tables.engine import ENGINE
from admin.tables.panel import panel
from admin.tables.sessions import OperatorSessions
from admin.tables.shown import BY_NAME, TABLES
from portal.web.cookies import cookie_name
from schema.users import User
from tests.integration.admin.tables.asking import ask, row_of, send


async def test_bug_1_put_stores_no_password_in_clear_text_nor_anything_else(office, superuser):
    user_id, _ = await office.user()
    before = await office.pool.fetchval("select password from users where id = $1", user_id)
    row = await row_of(superuser.browser, "users", user_id)
    answer = await send(superuser.browser, "PUT", f"users/{user_id}/", {**row, "password": "in clear text"})
    assert answer.status_code == 405, answer.text
    patched = await send(superuser.browser, "PATCH", f"users/{user_id}/", {"password": "in clear text"})
    assert (patched.status_code, patched.json()) == (403, "password is never written here.")
    assert await office.pool.fetchval("select password from users where id = $1", user_id) == before


@pytest.mark.parametrize("table", sorted(BY_NAME))
async def test_bug_1_put_is_refused_by_every_table(superuser, table):
    answer = await send(superuser.browser, "PUT", f"{table}/1/", {})
    assert answer.status_code == 405


def test_bug_2_no_hook_is_lost_because_nothing_is_left_to_hooks():
    for route in _routes(panel()):
        if isinstance(route, PiccoloCRUD):
            assert route._hook_map is None
    assert all(callable(editor.change) for editor in EDITORS.values())


async def test_bug_3_a_new_user_cannot_be_posted_past_any_check(office, superuser):
    count = await office.pool.fetchval("select count(*) from users")
    row = {"email": "posted@example.com", "username": "posted@example.com", "password": "x" * 12, "superuser": True}
    answer = await send(superuser.browser, "POST", "users/", row)
    assert answer.status_code == 403, answer.text
    assert await office.pool.fetchval("select count(*) from users") == count


@pytest.mark.parametrize("text", ["null", "NULL", "Null"])
async def test_bug_3_the_text_null_is_a_text(office, superuser, text):
    organization = await office.organization()
    answer = await send(superuser.browser, "PATCH", f"organization/{organization.id}/", {"name": text})
    assert answer.status_code == 200, answer.text
    assert (await row_of(superuser.browser, "organization", organization.id))["name"] == text
    found = await ask(superuser.browser, "organization/", name=text, id=str(organization.id))
    assert [row["name"] for row in found.json()["rows"]] == [text]
    whole = await ask(superuser.browser, "organization/", name=text, name__match="exact")
    assert whole.status_code == 400, "it is said, instead of looking for rows without a name"


async def test_bug_3_nothing_is_not_stored_where_a_value_is_needed(office, superuser):
    organization = await office.organization()
    answer = await send(superuser.browser, "PATCH", f"organization/{organization.id}/", {"name": None})
    assert (answer.status_code, answer.json()) == (422, "name cannot be nothing.")


async def test_bug_4_its_own_door_with_a_limit_for_ever_is_closed_and_ours_is_finite(office):
    stranger = office.browser("203.0.113.90")
    for _ in range(25):
        answer = await stranger.client.post("/tables/public/login/", json={"username": "a", "password": "b"})
        assert answer.status_code == 403, "no token of ours"
    operator = await office.operator("admin")
    answer = await operator.browser.client.post(
        "/tables/public/login/", json={"username": "a"}, headers={"x-csrftoken": operator.browser.csrf}
    )
    assert answer.status_code == 404
    setup = await operator.browser.get("/tables/api/mfa-setup/")
    assert setup.status_code == 404


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("plan/", {"__page": "99999999999999999999"}, 400),
        ("plan/", {"__page": "999999999"}, 400),
        ("plan/", {"__page": "-1"}, 400),
        ("plan/", {"__page": "0"}, 400),
        ("plan/", {"__page": "٣"}, 400),
        ("plan/", {"__page_size": "0"}, 400),
        ("plan/", {"__page_size": "1001"}, 400),
        ("plan/", {"__page_size": "x"}, 400),
        ("plan/", {"__order": "nothing"}, 400),
        ("plan/", {"__order": "plan_id.slug"}, 400),
        ("users/", {"__order": "-password"}, 400),
        ("users/", {"__order": "password"}, 400),
        ("api_key/", {"__order": "digest"}, 400),
        ("users/", {"password": "x"}, 400),
        ("users/", {"password__operator": "not_null"}, 400),
        ("plan/", {"nothing": "x"}, 400),
        ("plan/", {"sort_order": "x"}, 400),
        ("plan/", {"sort_order": "9" * 30}, 400),
        ("plan/", {"sort_order__operator": "like", "sort_order": "1"}, 400),
        ("plan/", {"slug__match": "regex", "slug": "a"}, 400),
        ("plan/", {"__visible_fields": "slug,nothing"}, 400),
        ("users/", {"__visible_fields": "email,password"}, 400),
        ("plan/", {"__readable": "perhaps"}, 400),
        ("plan/", {"__range_header": "true"}, 400),
        ("plan/", {"created_at": "yesterday"}, 400),
        ("plan/", {"created_at": "9999999-01-01T00:00:00Z"}, 400),
        ("plan/", {"slug": "a" * 600}, 400),
        ("plan/", {"slug": "a\x00b"}, 400),
        ("plan_limit/", {"plan_id": "no-uuid"}, 400),
        ("users/999999999999999999999/", {}, 404),
        ("users/2147483648/", {}, 404),
        ("users/0/", {}, 404),
        ("users/-1/", {}, 404),
        ("users/x/", {}, 404),
        ("plan/no-uuid/", {}, 404),
        ("plan/" + "9" * 5000 + "/", {}, 404),
        ("plan/ids/", {"limit": "101"}, 400),
        ("plan/ids/", {"limit": "ALL"}, 400),
        ("plan/ids/", {"offset": "10001"}, 400),
        ("plan/ids/", {"search": "x" * 101}, 400),
        ("request_log/ids/", {"search": "x"}, 400),
        ("request_log/", {"__order": "total_us"}, 400),
        ("request_log/", {"path": "/x"}, 400),
        ("request_log/count/", {"user_agent": "x"}, 400),
        ("plan/count/", {"nothing": "1"}, 400),
    ],
)
async def test_bug_5_what_cannot_be_asked_is_told_and_is_no_fault_of_ours(superuser, path, query, status):
    answer = await ask(superuser.browser, path, **query)
    assert answer.status_code == status, answer.text
    assert isinstance(answer.json(), str)


async def test_bug_5_without_a_limit_a_picker_gets_a_hundred(office, superuser):
    await office.pool.execute(
        "insert into organization (slug, name) select 'many-' || n, 'Many' from generate_series(1, 150) n"
        " on conflict do nothing"
    )
    assert len((await ask(superuser.browser, "organization/ids/")).json()) == 100
    found = (await ask(superuser.browser, "organization/ids/", search="many-77", limit="5")).json()
    assert list(found.values()) == ["many-77"]


async def test_an_export_holds_no_text_that_a_spreadsheet_would_calculate(office, superuser):
    organization = await office.organization("=HYPERLINK(1)")
    which = {"id": str(organization.id)}
    seen = await ask(superuser.browser, "organization/", **which, __page_size="100")
    assert seen.json()["rows"][0]["name"] == "=HYPERLINK(1)"
    exported = await ask(superuser.browser, "organization/", **which, __page_size="1000", __page="1")
    assert exported.json()["rows"][0]["name"] == "'=HYPERLINK(1)"


async def test_under_https_a_change_is_checked_against_our_own_address(office, superuser):
    organization = await office.organization()
    for headers, status in (
        ({"origin": "https://elsewhere.example"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"x-csrftoken": "0" * 64}, 403),
        ({"x-csrftoken": ""}, 403),
        ({"origin": office.settings.admin.base_url}, 200),
    ):
        path = f"organization/{organization.id}/"
        answer = await send(superuser.browser, "PATCH", path, {"name": f"N{status}"}, headers=headers)
        assert answer.status_code == status, (headers, answer.text)
    page = await superuser.browser.get("/tables/")
    assert page.headers["set-cookie"].startswith(f"csrftoken={superuser.browser.csrf}; Path=/tables/")
    assert "SameSite=strict" in page.headers["set-cookie"]


async def test_the_session_is_ours_and_no_cookie_named_id_opens_anything(office):
    operator = await office.operator("admin")
    token = operator.browser.client.cookies.get(cookie_name(office.settings.admin, "pe_operator"))
    stranger = office.browser()
    for name in ("id", "session"):
        stranger.client.cookies.set(name, token, domain="localhost.local")
    assert (await stranger.get("/tables/api/tables/")).status_code == 401
    page = await stranger.get("/tables/")
    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=/tables/")
    answer = await operator.browser.get("/tables/api/user/")
    assert answer.json()["username"] == operator.email
    assert "set-cookie" not in answer.headers, "neither its session nor its token reaches a browser"


async def test_signing_out_in_its_menu_ends_our_session(office):
    operator = await office.operator("support")
    kept = operator.browser.csrf
    left = await operator.browser.client.post("/tables/public/logout/", headers={"x-csrftoken": kept})
    assert left.status_code == 200, left.text
    assert await office.pool.fetchval("select count(*) from portal_session where user_id = $1", operator.user_id) == 0
    noted = "select verb from audit_entry where actor_id = $1 order by created_at desc limit 1"
    assert await office.pool.fetchval(noted, operator.user_id) == "account.sign_out"
    assert (await operator.browser.get("/tables/api/tables/")).status_code == 401


async def test_piccolo_has_no_sessions_of_its_own_and_stores_no_token(office):
    with pytest.raises(RuntimeError):
        await OperatorSessions.create_session(1)
    with pytest.raises(RuntimeError):
        await OperatorSessions.remove_session("token")
    tables = "select count(*) from information_schema.tables where table_name in ('sessions', 'operator_sessions')"
    assert await office.pool.fetchval(tables) == 0


async def test_piccolo_can_do_nothing_outside_of_a_connection_that_is_lent_to_it():
    panel()
    with pytest.raises(RuntimeError, match="lend it one"):
        await User.select(User.id).run()
    with pytest.raises(RuntimeError, match="lend it one"):
        await OperatorSessions.get_user_id("token")


async def test_what_is_lent_to_piccolo_is_read_only(office):
    import asyncpg

    panel()
    user_id, email = await office.user()
    async with office.pool.acquire() as connection, connection.transaction(readonly=True):
        with ENGINE.lent(connection):
            assert (await User.select(User.email).where(User.id == user_id).first().run())["email"] == email
            with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                await User.update({User.first_name: "x"}).where(User.id == user_id).run()


def test_every_related_table_is_listed_on_purpose():
    shown = {each.table for each in TABLES}
    for each in TABLES:
        for column in each.table._meta.foreign_key_columns:
            assert column._foreign_key_meta.resolved_references in shown


async def test_an_operator_without_a_second_factor_sees_nothing_where_one_is_required(office, monkeypatch):
    operator = await office.operator("superuser")
    strict = office.settings.admin.model_copy(update={"factor_required": True})
    monkeypatch.setattr(office.settings, "admin", strict)
    assert (await operator.browser.get("/tables/")).headers["location"] == "/account"
    assert (await operator.browser.get("/tables/api/tables/")).status_code == 403
    assert (await send(operator.browser, "DELETE", "plan_limit/1/")).status_code == 403


async def test_a_customer_who_is_signed_in_to_the_portal_has_no_way_in(office):
    user_id, _ = await office.user()
    browser = await office.sign_in(user_id)
    assert (await browser.get("/tables/api/tables/")).status_code == 401


async def test_the_answer_comes_within_the_time_that_a_page_may_take(superuser):
    await ask(superuser.browser, "audit_entry/")
    begin = time.monotonic()
    for _ in range(5):
        assert (await ask(superuser.browser, "audit_entry/", __readable="true")).status_code == 200
    assert (time.monotonic() - begin) / 5 < 1.5


def _routes(app):
    yield app
    for route in getattr(app, "routes", ()):
        inner = getattr(route, "app", None)
        if inner is not None and inner is not app:
            yield from _routes(inner)
