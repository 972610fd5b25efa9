"""Export and apply on a database that somebody has lived in."""

import asyncio
import json

import asyncpg
import pytest

from domain.as_code.applying import apply, export, roll_back
from domain.as_code.documents import state_of
from domain.as_code.history import list_applied
from domain.as_code.present import read_present
from tests.conftest import database_of

EDIT = """
plans:
  odd:
    price_cents: 700
    trial_calls: null
    limits: {hourly: 1000/hour, minute: 6/minute per key}
    prices:
      demo: {GET /hello: {price: 0.5}}
  brand-new:
    name: Brand new
    active: false
    trial_calls: 5
    shadow_limits: {burst: 5/second on fresh:look}
    quotas: {month: 10/month}
    prices: {fresh: {GET /look: {price: 1, quota_cost: 2}}}
services:
  demo:
    minimum_plan: brand-new
  fresh:
    prefix: /fresh
    upstreams: [http://127.0.0.1:9]
    operations:
      GET /look: {name: look, price: 0.25, enabled: false}
"""


async def state(connection) -> str:
    return state_of(await read_present(connection))


async def rows_of(connection, sql):
    return [dict(row) for row in await connection.fetch(sql)]


async def test_an_export_applied_to_the_same_database_makes_no_difference(lived_in, actor):
    outcome = await apply(lived_in, await export(lived_in), actor, dry_run=True)
    assert outcome.differences.changes == ()
    assert outcome.differences.left_alone == ()
    assert outcome.differences.unchanged == 6 + 2 + 8


async def test_an_export_applied_to_an_empty_database_makes_the_same(lived_in, empty, actor):
    await lived_in.execute("update users set operator_role = null, admin = false, superuser = false")
    text = await export(lived_in)
    outcome = await apply(empty, text, actor)
    assert {change.how for change in outcome.differences.changes} == {"created"}
    assert await export(empty) == text


async def test_applying_twice_changes_nothing_the_second_time(lived_in, actor):
    first = await apply(lived_in, EDIT, actor)
    assert first.applied_id is not None
    after, entries = await state(lived_in), await lived_in.fetchval("select count(*) from audit_entry")
    second = await apply(lived_in, EDIT, actor)
    assert (second.differences.changes, second.applied_id) == ((), None)
    assert await state(lived_in) == after
    assert await lived_in.fetchval("select count(*) from audit_entry") == entries


async def test_a_dry_run_says_what_apply_does_and_changes_nothing(lived_in, actor):
    before = await state(lived_in)
    tried = await apply(lived_in, EDIT, actor, dry_run=True)
    assert await state(lived_in) == before
    assert await list_applied(lived_in) == []
    assert await lived_in.fetchval("select count(*) from audit_entry where verb like 'config.%'") == 0
    done = await apply(lived_in, EDIT, actor)
    assert done.differences == tried.differences
    told = {
        (change.how, change.id, each.field): (each.before, each.after)
        for change in done.differences.changes
        for each in change.fields
    }
    odd = ("plan", "odd")
    assert told["changed", odd, "price_cents"] == ("1", "700")
    assert told["changed", odd, "trial_calls"] == ("1000", None)
    assert told["changed", odd, "limits.second"] == ("5/second", None)
    assert told["changed", odd, "prices.demo GET /hello"] == ("0 units", "0.5 credits")
    assert told["changed", odd, "prices.odd GET /items/{id}"] == ("0.000007 credits and 3 units", None)
    assert told["created", ("operation", "fresh", "GET /look"), "price"] == (None, "0.25")


async def test_every_change_is_audited_with_before_and_after(lived_in, actor):
    outcome = await apply(lived_in, EDIT, actor, reason="spring prices")
    rows = await rows_of(lived_in, "select * from audit_entry where verb = 'config.apply'")
    assert len(rows) == len(outcome.differences.changes)
    (row,) = [row for row in rows if (row["object_type"], row["object_id"]) == ("plan", "odd")]
    assert (row["actor_name"], row["reason"]) == ("the operator", "spring prices")
    assert json.loads(row["before"])["price_cents"] == "1"
    assert json.loads(row["after"])["price_cents"] == "700"


async def test_a_rollback_goes_back_to_the_state_that_the_first_apply_met(lived_in, actor):
    before = {entry.id: entry.values for entry in (await read_present(lived_in)).entries.values()}
    await apply(lived_in, EDIT, actor)
    applied, found = await list_applied(lived_in)
    assert (applied.summary["kind"], found.summary["kind"]) == ("apply", "found")
    tried = await roll_back(lived_in, found.id, actor, dry_run=True)
    assert tried.differences.changes
    outcome = await roll_back(lived_in, found.id, actor)
    assert list(outcome.differences.left_alone) == [
        ("plan", "brand-new"), ("service", "fresh"), ("operation", "fresh", "GET /look"),
    ]  # fmt: skip
    present = await read_present(lived_in)
    assert {entry_id: present.entries[entry_id].values for entry_id in before} == before
    assert await lived_in.fetchval("select count(*) from audit_entry where verb = 'config.rollback'") > 0


@pytest.mark.parametrize(
    "statement", ["update applied_config set text = ''", "delete from applied_config", "truncate applied_config"]
)
async def test_the_history_is_append_only(lived_in, actor, statement):
    await apply(lived_in, EDIT, actor)
    with pytest.raises(asyncpg.PostgresError, match="append"):
        await lived_in.execute(statement)


async def test_what_the_file_does_not_name_is_left_alone_and_disabled_by_prune(lived_in, actor):
    text = "plans: {free: {}}\nservices: {demo: {operations: {GET /hello: {}}}}\n"
    outcome = await apply(lived_in, text, actor)
    assert outcome.differences.changes == ()
    assert ("plan", "pro") in outcome.differences.left_alone
    outcome = await apply(lived_in, text, actor, prune=True)
    assert {change.how for change in outcome.differences.changes} == {"disabled"}
    assert await lived_in.fetch("select slug from plan where active") == [("free",)]
    assert await lived_in.fetch("select slug from service where enabled") == [("demo",)]
    names = "select o.name from operation o join service s on s.id = o.service_id where s.slug = 'demo' and o.enabled"
    assert await lived_in.fetch(names) == [("hello",)]
    assert (await apply(lived_in, text, actor, prune=True)).differences.changes == ()


async def test_services_may_hand_their_prefixes_to_each_other(lived_in, actor):
    await apply(lived_in, "services: {demo: {prefix: /odd/v1}, odd: {prefix: /proxy}}", actor)
    found = dict(await lived_in.fetch("select slug, route_prefix from service"))
    assert found == {"demo": "/odd/v1", "odd": "/proxy"}


async def test_who_has_subscribed_keeps_the_terms_unless_at_once(lived_in, actor):
    text = "plans: {pro: {name: Professional, limits: {hour: 1/hour}, price_cents: 1}}\nservices: {demo: {operations: {GET /hello: {price: 9}}}}"
    await apply(lived_in, text, actor)
    pinned = "select count(*) from subscription u join plan p on p.id = u.plan_id where p.slug = 'pro' and plan_version_id is not null"
    assert await lived_in.fetchval(pinned) == 1
    terms = json.loads(
        await lived_in.fetchval("select terms from plan_version v join plan p on p.id = v.plan_id where p.slug = 'pro'")
    )
    assert 9_000_000 not in terms["prices"].values()
    await apply(lived_in, text.replace("1/hour", "2/hour"), actor, at_once=True)
    assert await lived_in.fetchval(pinned) == 0


async def test_a_file_from_before_others_changes_is_noted(lived_in, actor):
    text = await export(lived_in)
    mine = text.replace("price_cents: 4900", "price_cents: 5000")
    assert not (await apply(lived_in, mine, actor, dry_run=True)).changed_meanwhile
    assert not (await apply(lived_in, mine, actor)).changed_meanwhile
    again = mine.replace("price_cents: 5000", "price_cents: 5100")
    assert not (await apply(lived_in, again, actor)).changed_meanwhile
    await lived_in.execute("update plan set description = 'By somebody else' where slug = 'free'")
    assert (await apply(lived_in, again, actor, dry_run=True)).changed_meanwhile


async def test_two_at_once_apply_one_after_the_other(lived_in, actor, server_urls, worker_number):
    other = await asyncpg.connect(database_of(server_urls[0], f"as_code_{worker_number}"))
    try:
        outcomes = await asyncio.gather(apply(lived_in, EDIT, actor), apply(other, EDIT, actor))
    finally:
        await other.close()
    assert sorted(bool(each.differences.changes) for each in outcomes) == [False, True]
    assert [each.summary["kind"] for each in await list_applied(lived_in)] == ["apply", "found"]
