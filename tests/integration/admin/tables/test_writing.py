"""Rows that are written by hand: checked by the domain, audited in the same transaction, both or neither."""

import asyncio
import json

import asyncpg
import pytest

from domain import operations, plans, services
from domain.limit_texts import parse_limits
from tests.integration.admin.tables.asking import API, ask, row_of, send

LAST = "select * from audit_entry where actor_id = $1 order by created_at desc, id desc limit 1"


async def entry_of(office, operator):
    row = dict(await office.pool.fetchrow(LAST, operator.user_id))
    return {**row, **{name: json.loads(row[name]) if row[name] else None for name in ("before", "after")}}


async def entries_of(office, operator) -> int:
    return await office.pool.fetchval("select count(*) from audit_entry where actor_id = $1", operator.user_id)


@pytest.fixture
async def plan(office):
    number = await office.pool.fetchval("select count(*) from plan")
    async with office.pool.acquire() as connection:
        return await plans.create(connection, slug=f"hand-{number}", limits=parse_limits(["10/hour", "100/day"]))


@pytest.fixture
async def operation(office):
    number = await office.pool.fetchval("select count(*) from service")
    async with office.pool.acquire() as connection:
        await services.create(
            connection, slug=f"hand-{number}", prefix=f"/hand-{number}", upstreams=["http://127.0.0.1:8000"]
        )
        return await operations.create(
            connection, service_slug=f"hand-{number}", method="GET", path_pattern="/a/{b}", name="a", price_micro=5
        )


async def limit_id(office, plan, name="hour"):
    return await office.pool.fetchval("select id from plan_limit where plan_id = $1 and name = $2", plan.id, name)


async def test_a_change_is_audited_with_what_was_and_what_became_by_whom_and_from_where(office, superuser, plan):
    form = await row_of(superuser.browser, "plan", plan.id)
    form.update({name: str(value) for name, value in form.items() if isinstance(value, bool | int)})  # as a form sends
    answer = await send(superuser.browser, "PATCH", f"plan/{plan.id}/", {**form, "description": "New\r\nwords"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["description"] == "New\nwords"
    entry = await entry_of(office, superuser)
    assert (entry["actor_kind"], entry["actor_name"], entry["verb"]) == ("operator", superuser.email, "table.change")
    assert (entry["object_type"], entry["object_id"]) == ("plan", str(plan.id))
    assert entry["object_name"] == f"plan {plan.slug}"
    assert (entry["before"], entry["after"]) == ({"description": ""}, {"description": "New\nwords"})
    assert entry["address"] == "127.0.0.1"
    assert entry["request_id"] == answer.headers["x-request-id"]


async def test_a_form_that_changes_nothing_writes_nothing(office, superuser, plan):
    form = await row_of(superuser.browser, "plan", plan.id)
    before = await entries_of(office, superuser)
    assert (await send(superuser.browser, "PATCH", f"plan/{plan.id}/", form)).status_code == 200
    assert await entries_of(office, superuser) == before


@pytest.mark.parametrize(
    ("values", "status", "says"),
    [
        ({"price_cents": -1}, 422, "price"),
        ({"price_cents": "ten"}, 422, "price_cents"),
        ({"trial_days": 400}, 422, "trial"),
        ({"overage": "perhaps"}, 422, "overage"),
        ({"name": ""}, 422, "name"),
        ({"name": "a" * 121}, 422, "name"),
        ({"nothing": "x"}, 422, "no column nothing"),
        ({"slug": "another"}, 403, "not changed by hand"),
        ({"currency": "EUR"}, 403, "not changed by hand"),
        ({"created_at": "2020-01-01T00:00:00Z"}, 403, "not changed by hand"),
        ({"id": "00000000-0000-4000-8000-000000000000"}, 403, "not changed by hand"),
        ({"sort_order": None}, 422, "sort_order"),
        ([], 422, "JSON object"),
        ("text", 422, "JSON object"),
    ],
)
async def test_a_wrong_value_is_told_and_changes_nothing(office, superuser, plan, values, status, says):
    before = await entries_of(office, superuser)
    answer = await send(superuser.browser, "PATCH", f"plan/{plan.id}/", values)
    assert answer.status_code == status, answer.text
    assert says in answer.json()
    assert await entries_of(office, superuser) == before
    async with office.pool.acquire() as connection:
        assert await plans.fetch_plan(connection, plan.slug) == plan


async def test_what_is_no_json_is_told(superuser, plan):
    for headers, content in (({"content-type": "application/json"}, b"{"), ({"content-type": "text/plain"}, b"{}")):
        headers["x-csrftoken"] = superuser.browser.csrf
        answer = await superuser.browser.client.patch(f"{API}/plan/{plan.id}/", content=content, headers=headers)
        assert answer.status_code == 422


async def test_who_has_subscribed_keeps_the_limit_that_is_changed_by_hand(office, superuser, plan):
    organization = await office.organization()
    await office.pool.execute(
        "update subscription set plan_id = $2, plan_version_id = null where organization_id = $1",
        organization.id,
        plan.id,
    )
    limit = await limit_id(office, plan)
    answer = await send(superuser.browser, "PATCH", f"plan_limit/{limit}/", {"amount": "20"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["amount"] == 20
    entry = await entry_of(office, superuser)
    assert (entry["verb"], entry["before"], entry["after"]) == ("table.change", {"amount": 10}, {"amount": 20})
    pinned = "select plan_version_id is not null from subscription where organization_id = $1"
    assert await office.pool.fetchval(pinned, organization.id)


async def test_a_limit_is_added_and_deleted_but_never_the_last_one(office, superuser, plan):
    form = (await ask(superuser.browser, "plan_limit/new/")).json()
    form |= {"plan_id": str(plan.id), "name": "minute", "amount": "5", "period": "minute", "service_id": None}
    answer = await send(superuser.browser, "POST", "plan_limit/", form)
    assert answer.status_code == 201, answer.text
    entry = await entry_of(office, superuser)
    assert (entry["verb"], entry["before"], entry["after"]["amount"]) == ("table.create", None, 5)
    for name in ("minute", "day"):
        answer = await send(superuser.browser, "DELETE", f"plan_limit/{await limit_id(office, plan, name)}/")
        assert answer.status_code == 204, answer.text
    entry = await entry_of(office, superuser)
    assert (entry["verb"], entry["before"]["name"], entry["after"]) == ("table.delete", "day", None)
    last = await send(superuser.browser, "DELETE", f"plan_limit/{await limit_id(office, plan)}/")
    assert (last.status_code, "last limit" in last.json()) == (409, True)
    async with office.pool.acquire() as connection:
        assert [limit.name for limit in (await plans.fetch_plan(connection, plan.slug)).limits] == ["hour"]


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"name": "hour"}, 422),
        ({"name": "Bad Name"}, 422),
        ({"amount": 0}, 422),
        ({"amount": 10**16}, 422),
        ({"amount": None}, 422),
        ({"period": "year"}, 422),
        ({"unit": "quota"}, 422),
        ({"plan_id": "00000000-0000-4000-8000-000000000000"}, 404),
        ({"service_id": "00000000-0000-4000-8000-000000000000"}, 422),
        ({"operation_id": "00000000-0000-4000-8000-000000000000"}, 422),
    ],
)
async def test_a_limit_that_could_not_be_written_otherwise_cannot_be_added_here(
    office, superuser, plan, values, status
):
    form = {"plan_id": str(plan.id), "name": "minute", "amount": 5, "period": "minute", **values}
    answer = await send(superuser.browser, "POST", "plan_limit/", form)
    assert answer.status_code == status, answer.text
    async with office.pool.acquire() as connection:
        assert await plans.fetch_plan(connection, plan.slug) == plan


async def test_prices_of_a_plan_are_added_changed_and_deleted(office, superuser, plan, operation):
    form = {"plan_id": str(plan.id), "operation_id": str(operation.id), "price_micro": "7", "quota_cost": ""}
    made = await send(superuser.browser, "POST", "plan_price/", form)
    assert made.status_code == 201, made.text
    path = f"plan_price/{made.json()['id']}/"
    assert (await send(superuser.browser, "POST", "plan_price/", form)).status_code == 409
    changed = await send(superuser.browser, "PATCH", path, {"price_micro": "9"})
    assert (changed.status_code, changed.json()["price_micro"]) == (200, 9)
    nothing = await send(superuser.browser, "PATCH", path, {"price_micro": ""})
    assert nothing.status_code == 409, nothing.text
    assert (await send(superuser.browser, "PATCH", path, {"price_micro": -1})).status_code == 422
    assert (await send(superuser.browser, "DELETE", path)).status_code == 204
    assert await office.pool.fetchval("select count(*) from plan_price where plan_id = $1", plan.id) == 0


async def test_a_service_is_made_and_changed_as_the_command_line_would(office, superuser):
    form = (await ask(superuser.browser, "service/new/")).json()
    number = await office.pool.fetchval("select count(*) from service")
    form |= {"slug": f"made-{number}", "name": "Made", "route_prefix": f"/made-{number}"}
    wrong = await send(superuser.browser, "POST", "service/", {**form, "upstreams": "nothing"})
    assert wrong.status_code == 422
    for upstreams in ("[]", '[{"url": "ftp://x"}]', '[{"url": "http://user:pw@x.example"}]', '"http://x"', "[1]"):
        answer = await send(superuser.browser, "POST", "service/", {**form, "upstreams": upstreams})
        assert answer.status_code == 422, (upstreams, answer.text)
        assert "pw" not in answer.text
    form["upstreams"] = '[{"url": "HTTPS://API.example/v1/", "weight": 2}]'
    made = await send(superuser.browser, "POST", "service/", form)
    assert made.status_code == 201, made.text
    assert made.json()["upstreams"] == [{"url": "https://api.example/v1", "weight": 2}]
    path = f"service/{made.json()['id']}/"
    assert (await send(superuser.browser, "PATCH", path, {"route_prefix": "/health"})).status_code == 422
    assert (await send(superuser.browser, "PATCH", path, {"max_connections": 0})).status_code == 422
    row = await row_of(superuser.browser, "service", made.json()["id"])
    changed = await send(superuser.browser, "PATCH", path, {**row, "enabled": "false"})
    assert (changed.status_code, changed.json()["enabled"]) == (200, False)
    entry = await entry_of(office, superuser)
    assert (entry["before"], entry["after"]) == ({"enabled": True}, {"enabled": False})
    taken = await send(superuser.browser, "POST", "service/", form)
    assert taken.status_code == 409
    gone = await send(superuser.browser, "DELETE", path)
    assert gone.status_code == 403
    assert "enabled" in gone.json()


async def test_an_operation_is_made_and_changed_by_its_rules(office, superuser, operation):
    service_id = await office.pool.fetchval("select service_id from operation where id = $1", operation.id)
    form = {"service_id": str(service_id), "name": "b", "method": "post", "path_pattern": "/b", "enabled": "true"}
    made = await send(superuser.browser, "POST", "operation/", form)
    assert made.status_code == 201, made.text
    assert made.json()["method"] == "POST"
    assert (await send(superuser.browser, "POST", "operation/", {**form, "path_pattern": "b"})).status_code == 422
    assert (await send(superuser.browser, "POST", "operation/", form)).status_code == 409
    path = f"operation/{made.json()['id']}/"
    assert (await send(superuser.browser, "PATCH", path, {"cost_formula": "1 +"})).status_code == 422
    assert (await send(superuser.browser, "PATCH", path, {"price_micro": 2**63})).status_code == 422
    assert (await send(superuser.browser, "PATCH", path, {"path_pattern": "/c"})).status_code == 403
    changed = await send(superuser.browser, "PATCH", path, {"price_micro": 12})
    assert (changed.status_code, changed.json()["price_micro"]) == (200, 12)


async def test_an_organization_reads_in_its_own_audit_that_an_operator_renamed_it(office, superuser):
    organization = await office.organization()
    path = f"organization/{organization.id}/"
    answer = await send(superuser.browser, "PATCH", path, {"name": "Renamed", "spend_cap_day_micro": 5_000_000})
    assert answer.status_code == 200, answer.text
    entry = await entry_of(office, superuser)
    assert (entry["verb"], entry["organization_id"]) == ("organization.change", organization.id)
    assert entry["after"] == {"name": "Renamed", "spend_cap_day_micro": 5_000_000}
    for values in ({"state": "closed"}, {"slug": "other"}):
        assert (await send(superuser.browser, "PATCH", path, values)).status_code == 403
    assert (await send(superuser.browser, "PATCH", path, {"spend_cap_day_micro": -1})).status_code == 422


async def test_of_a_user_only_the_names_are_written_and_only_by_a_superuser(office, superuser):
    user_id, _ = await office.user()
    path = f"users/{user_id}/"
    answer = await send(superuser.browser, "PATCH", path, {"first_name": "Ada", "last_name": "Lovelace"})
    assert answer.status_code == 200, answer.text
    assert "password" not in answer.text
    entry = await entry_of(office, superuser)
    assert entry["after"] == {"first_name": "Ada", "last_name": "Lovelace"}
    for values in (
        {"operator_role": "superuser"}, {"admin": True}, {"superuser": "true"}, {"active": False},
        {"email": "other@example.com"}, {"username": "other@example.com"}, {"password": "a" * 12},
        {"email_verified_at": None}, {"deletes_at": "2027-01-01T00:00:00Z"},
    ):  # fmt: skip
        assert (await send(superuser.browser, "PATCH", path, values)).status_code == 403, values
    admin = await office.operator("admin")
    assert (await send(admin.browser, "PATCH", path, {"first_name": "Eve"})).status_code == 403
    row = await office.pool.fetchrow("select first_name, operator_role, superuser from users where id = $1", user_id)
    assert tuple(row) == ("Ada", None, False)


async def test_without_its_audit_entry_nothing_is_changed(office, superuser, plan):
    await office.pool.execute(
        "create function no_audit() returns trigger language plpgsql as $$ begin"
        " if new.verb like 'table.%' then raise exception 'no audit today'; end if; return new; end $$;"
        " create trigger no_audit before insert on audit_entry for each row execute function no_audit()"
    )
    limit = await limit_id(office, plan)
    try:
        answers = [
            await send(superuser.browser, "PATCH", f"plan/{plan.id}/", {"name": "Lost"}),
            await send(superuser.browser, "DELETE", f"plan_limit/{limit}/"),
            await send(
                superuser.browser,
                "POST",
                "plan_limit/",
                {"plan_id": str(plan.id), "name": "minute", "amount": 5, "period": "minute"},
            ),
        ]
    finally:
        await office.pool.execute("drop trigger no_audit on audit_entry; drop function no_audit()")
    assert [answer.status_code for answer in answers] == [500, 500, 500]
    async with office.pool.acquire() as connection:
        assert await plans.fetch_plan(connection, plan.slug) == plan


async def test_without_its_change_no_audit_entry_stays(office, superuser, plan):
    before = await entries_of(office, superuser)
    await office.pool.execute(
        "create function no_plan() returns trigger language plpgsql as $$ begin"
        " raise exception 'not today'; end $$;"
        " create constraint trigger no_plan after update on plan deferrable initially deferred"
        " for each row execute function no_plan()"
    )
    try:
        answer = await send(superuser.browser, "PATCH", f"plan/{plan.id}/", {"name": "Lost"})
    finally:
        await office.pool.execute("drop trigger no_plan on plan; drop function no_plan()")
    assert answer.status_code == 500, "the commit itself failed, after the entry was written"
    assert await entries_of(office, superuser) == before
    assert await office.pool.fetchval("select name from plan where id = $1", plan.id) == plan.name


async def test_a_connection_that_is_cut_in_the_middle_leaves_neither_row_nor_entry(office, superuser, plan):
    before = await entries_of(office, superuser)
    async with office.pool.acquire() as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("lock table audit_entry in access exclusive mode")
        sent = asyncio.ensure_future(send(superuser.browser, "PATCH", f"plan/{plan.id}/", {"name": "Lost"}))
        waiting = (
            "select pid from pg_stat_activity where datname = current_database()"
            " and wait_event_type = 'Lock' and query like '%into audit_entry%'"
        )
        for _ in range(100):
            if pid := await office.pool.fetchval(waiting):
                break
            await asyncio.sleep(0.05)
        assert pid, "the change is made, and its entry waits"
        await other.fetchval("select pg_terminate_backend($1)", pid)
        answer = await sent
        await transaction.rollback()
    assert answer.status_code == 503, answer.text
    assert await entries_of(office, superuser) == before
    assert await office.pool.fetchval("select name from plan where id = $1", plan.id) == plan.name


async def test_two_edits_at_once_are_one_after_the_other_and_each_entry_says_what_it_met(office, superuser, plan):
    names = [f"Name {number}" for number in range(6)]
    answers = await asyncio.gather(
        *(send(superuser.browser, "PATCH", f"plan/{plan.id}/", {"name": name}) for name in names)
    )
    assert {answer.status_code for answer in answers} == {200}
    rows = await office.pool.fetch(
        "select before->>'name' as was, after->>'name' as became from audit_entry where object_id = $1", str(plan.id)
    )
    chain = {row["was"]: row["became"] for row in rows}
    name, steps = plan.name, 0
    while name in chain:
        name, steps = chain[name], steps + 1
    assert steps == len(names)
    assert name == await office.pool.fetchval("select name from plan where id = $1", plan.id)


async def test_entries_cannot_be_changed_through_the_tables_nor_by_sql(office, superuser, plan):
    await send(superuser.browser, "PATCH", f"plan/{plan.id}/", {"name": "Once"})
    entry = await entry_of(office, superuser)
    for method in ("PATCH", "DELETE", "PUT"):
        answer = await send(
            superuser.browser, method, f"audit_entry/{entry['id']}/", {} if method != "DELETE" else None
        )
        assert answer.status_code in (403, 405)
    with pytest.raises(asyncpg.PostgresError):
        await office.pool.execute("delete from audit_entry where id = $1", entry["id"])
