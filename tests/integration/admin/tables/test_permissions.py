"""Role x table x verb: what is allowed is allowed, and nothing else is. The expectation is written down here once more."""

import pytest

from admin.tables.editors.table import EDITORS
from admin.tables.permissions import PERMISSIONS, WRITES, Access, Verb
from admin.tables.shown import BY_NAME
from domain.operators import OPERATOR_ROLES, OperatorRole, Right
from schema.piccolo_app import APP_CONFIG
from tests.admins import TestOperator
from tests.integration.admin.tables.asking import ask, send

NOWHERE = "00000000-0000-4000-8000-000000000000"
EVERYBODY = set(OperatorRole)
EDITING = {OperatorRole.SUPERUSER, OperatorRole.ADMIN}
AUDITING = {*EDITING, OperatorRole.FINANCE}
AUDIT = {"audit_entry", "audit_link", "audit_seal", "audit_unsealed"}
SIGN_INS = {
    "portal_session", "user_link", "totp_factor", "recovery_code", "outside_identity", "access_token", "invitation",
    "api_reply",
}  # fmt: skip
CHANGED = {"organization", "plan", "plan_limit", "plan_price", "service", "operation"}
CREATED = {"plan_limit", "plan_price", "service", "operation"}
DELETED = {"plan_limit", "plan_price"}
READS = {
    Verb.LIST: "", Verb.COUNT: "count/", Verb.IDS: "ids/", Verb.SCHEMA: "schema/", Verb.NEW: "new/",
    Verb.REFERENCES: "references/", Verb.GET: f"{NOWHERE}/",
}  # fmt: skip
WRITTEN = {
    Verb.CREATE: ("POST", ""),
    Verb.CHANGE: ("PATCH", f"{NOWHERE}/"),
    Verb.REPLACE: ("PUT", f"{NOWHERE}/"),
    Verb.DELETE: ("DELETE", f"{NOWHERE}/"),
    Verb.DELETE_MANY: ("DELETE", ""),
}


def expected(role: OperatorRole, table: str, verb: Verb) -> bool:
    """Whether the role may, as it was asked for in words; not read from the table that is tested."""
    lookers = EDITING if table in SIGN_INS else AUDITING if table in AUDIT else EVERYBODY
    if role not in lookers:
        return False
    if verb not in WRITES:
        return True
    if table == "users":
        return verb is Verb.CHANGE and role is OperatorRole.SUPERUSER
    written = {Verb.CREATE: CREATED, Verb.CHANGE: CHANGED, Verb.DELETE: DELETED}.get(verb, set())
    return table in written and role in EDITING


def test_every_table_of_the_schema_is_shown_and_has_permissions():
    tables = {table._meta.tablename for table in APP_CONFIG.table_classes}
    assert tables - BY_NAME.keys() == set(), "add these to admin/tables/shown.py"
    assert tables - PERMISSIONS.keys() == set(), "add these to admin/tables/permissions.py"
    assert BY_NAME.keys() - tables == set()
    assert PERMISSIONS.keys() - tables == set()


def test_who_may_write_a_table_has_a_command_for_it_and_nobody_else_has():
    for name, access in PERMISSIONS.items():
        editor = EDITORS.get(name)
        assert (access.change is not None) == (editor is not None), name
        assert (access.create is not None) == (editor is not None and editor.create is not None), name
        assert (access.delete is not None) == (editor is not None and editor.delete is not None), name


def test_every_shown_column_is_served_and_leads_somewhere():
    for shown in BY_NAME.values():
        order = shown.order.removeprefix("-")
        for name in f"{shown.columns} {shown.filters} {order} {shown.link} {shown.orders}".split():
            assert name in shown.served, (shown.name, name)
        assert shown.link in shown.columns.split(), shown.name
        assert order in shown.orderable, shown.name
        assert set(shown.filters.split()) <= shown.filterable, shown.name


async def asked(operator: TestOperator, table: str, verb: Verb) -> tuple[int, str]:
    nowhere = "999999999" if BY_NAME[table].table._meta.primary_key.value_type is int else NOWHERE
    if verb in READS:
        path = READS[verb].replace(NOWHERE, nowhere)
        answer = await ask(operator.browser, f"{table}/{path}")
    else:
        method, path = WRITTEN[verb]
        path = path.replace(NOWHERE, nowhere)
        answer = await send(
            operator.browser, method, f"{table}/{path}", {} if method in ("POST", "PATCH", "PUT") else None
        )
    return answer.status_code, answer.text


@pytest.mark.parametrize("role", list(OperatorRole))
async def test_each_role_may_exactly_what_was_written_down_and_is_told_why_not(office, role, capsys):
    operator = await office.operator(role)
    await office.organization()
    before = await office.pool.fetchval("select count(*) from audit_entry")
    surprises, tried = [], 0
    for table in BY_NAME:
        for verb in Verb:
            status, text = await asked(operator, table, verb)
            tried += 1
            if verb is Verb.REPLACE:
                right = status == 405
            elif expected(role, table, verb):
                right = status in ((200,) if verb not in WRITES and verb is not Verb.GET else (200, 404, 422))
            else:
                right = status == 403 and len(text) > 20 and "may" in text
            if not right:
                surprises.append((table, verb.value, status, text[:150]))
    with capsys.disabled():
        print(f"\n{role}: {tried} combinations of table and verb tried, surprises {len(surprises)}")
    assert surprises == []
    assert await office.pool.fetchval("select count(*) from audit_entry") == before, "nothing was written"


@pytest.mark.parametrize("role", list(OperatorRole))
async def test_there_are_no_forms_and_no_other_door(office, role):
    browser = (await office.operator(role)).browser
    assert (await browser.get("/tables/api/forms/")).json() == []
    assert (await browser.get("/tables/api/forms/grouped/")).json() == {"grouped": {}, "ungrouped": []}
    for method, path in (
        ("GET", "api/forms/grant/"), ("GET", "api/forms/grant/schema/"), ("POST", "api/forms/grant/"),
        ("POST", "public/login/"), ("GET", "public/login/"), ("POST", "api/change-password/"),
        ("GET", "api/change-password/"), ("POST", "api/media/"), ("POST", "api/media/generate-file-url/"),
        ("GET", "api/mfa-setup/"), ("POST", "api/mfa-setup/"), ("GET", "api/docs/"), ("GET", "public/docs/"),
        ("GET", "api/openapi.json"), ("GET", "public/openapi.json"), ("GET", "openapi.json"), ("GET", "docs"),
        ("GET", "api/tables/nothing/"), ("POST", "api/tables/"), ("DELETE", "api/tables/grouped/"),
    ):  # fmt: skip
        answer = await browser.client.request(method, f"/tables/{path}", headers={"x-csrftoken": browser.csrf})
        assert answer.status_code == 404, (method, path, answer.text)


async def test_the_menu_names_what_the_role_may_see(office):
    everything = (await (await office.operator("superuser")).browser.get("/tables/api/tables/")).json()
    analyst = (await office.operator("analyst")).browser
    less = (await analyst.get("/tables/api/tables/")).json()
    assert set(everything) == BY_NAME.keys()
    assert set(everything) - set(less) == {*SIGN_INS, *AUDIT}
    grouped = (await analyst.get("/tables/api/tables/grouped/")).json()
    assert sorted(name for names in grouped["grouped"].values() for name in names) == sorted(less)
    links = (await analyst.get("/tables/api/links/")).json()
    assert links["Organizations"] == "/organizations"
    assert "Operators" not in links


async def test_a_row_names_no_table_that_the_role_may_not_see(office):
    analyst, superuser = (await office.operator("analyst")).browser, (await office.operator("superuser")).browser
    named = {each["tableName"] for each in (await ask(analyst, "users/references/")).json()["references"]}
    assert named == {"membership", "user_preference"}
    named = {each["tableName"] for each in (await ask(superuser, "users/references/")).json()["references"]}
    assert named >= {"membership", "portal_session", "totp_factor"}


def test_a_table_without_any_right_to_write_says_what_to_do_instead():
    for name, access in PERMISSIONS.items():
        assert isinstance(access, Access)
        assert len(access.instead) > 20, name
        assert access.instead.endswith("."), name


def test_sign_ins_are_for_who_may_see_them():
    assert {role for role, rights in OPERATOR_ROLES.items() if Right.LOOK_SIGN_INS in rights} == EDITING
