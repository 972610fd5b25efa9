"""Organizations, limits, money, growth and keys, counted by hand."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain import operations, organizations, plans
from domain.credits.adjusting import adjust
from domain.credits.granting import grant
from domain.credits.refunding import refund
from domain.ingesting.refusals import Refusals
from domain.limit_texts import parse_limits
from domain.reports import organizations as organization_reports
from domain.reports.organizations import cover_of
from domain.subscriptions import change_plan
from schema.credits import EntryType
from tests.integration.domain.reports.conftest import facts_of, rows_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CREDIT = 1_000_000


async def test_top_organizations_by_requests_and_by_credits(shop, reports):
    await shop.store(
        *[shop.call("acme") for _ in range(3)],
        shop.call("acme", status=500),
        *[shop.call("beta", cost_micro=100_000) for _ in range(2)],
        shop.call("acme", 20 * DAY),
    )
    for window, count in (("1h", 4), ("24h", 4), ("7d", 4), ("30d", 5), ("90d", 5)):
        rows = rows_of(await reports.make("top-organizations", window=window))
        assert [(row["organization"], row["requests"]) for row in rows] == [("Acme", count), ("Beta", 2)], window
        assert rows[0]["plan"] == "Starter"
        assert rows[0]["error_share"] == round(100 / count, 2)
        by_credits = await reports.make("top-organizations", window=window, which="credits")
        assert [(row["organization"], row["spent"]) for row in rows_of(by_credits)] == [("Beta", 200_000)]
        assert by_credits.filters[0]["organization"] == "beta"
    alone = await reports.make("top-organizations", window="90d", organization="beta")
    assert [row["organization"] for row in rows_of(alone)] == ["Beta"]


async def test_who_is_left_out_is_told_with_what_they_had_at_most(shop, reports, monkeypatch):
    monkeypatch.setattr(organization_reports, "CANDIDATES", 1)
    await shop.store(*[shop.call("acme") for _ in range(3)], *[shop.call("beta") for _ in range(2)])
    report = await reports.make("top-organizations", window="7d")
    assert [row["organization"] for row in rows_of(report)] == ["Acme"]
    assert "all others had at most 3 each" in report.sentence


async def test_fading_organizations_are_those_with_fewer_whole_days(shop, reports):
    await shop.store(
        *[shop.call("acme", 10 * DAY) for _ in range(4)],
        shop.call("acme", 3 * DAY),
        *[shop.call("acme") for _ in range(9)],
        shop.call("beta", 10 * DAY),
        *[shop.call("beta", 3 * DAY) for _ in range(2)],
    )
    report = await reports.make("fading-organizations")
    assert rows_of(report) == [
        {
            "organization": "Acme",
            "plan": "Starter",
            "before": 4,
            "now": 1,
            "change": -75.0,
            "spent_before": 0,
            "spent_now": 0,
        }
    ]


@pytest.mark.parametrize(
    ("span", "age", "grain"),
    [(HOUR, HOUR, "day"), (DAY, DAY, "day"), (DAY, 10 * DAY, "week"), (7 * DAY, 8 * DAY, "week"), (30 * DAY, 30 * DAY, "month"),
     (DAY, 119 * DAY, "month")],
)  # fmt: skip
def test_a_window_is_covered_by_what_is_still_kept(span, age, grain):
    now = datetime(2026, 11, 27, 1, tzinfo=UTC)
    assert cover_of(now - age, now - age + span, now) == grain


async def test_limit_pressure_is_what_the_window_holds_of_the_limit(shop, reports, database):
    for slug, amount in (("acme", 200),):
        await database.execute(
            "insert into limit_override (id, organization_id, limit_name, amount) select gen_random_uuid(), o.id, l.name, $2"
            " from organization o, plan_limit l where o.slug = $1 and l.period = 'hour'",
            slug,
            amount,
        )
    await shop.store(
        *[shop.call("acme") for _ in range(20)],
        *[shop.call("beta") for _ in range(30)],
        *[shop.call("beta", status=429, outcome="refused") for _ in range(7)],
    )
    report = await reports.make("limit-pressure")
    found = [(row["organization"], row["limit"], row["key"], row["used"], row["used_share"]) for row in rows_of(report)]
    assert found == [
        ("Beta", "day-key (50/day)", "beta key", 30, 60.0), ("Acme", "day-key (50/day)", "acme key", 20, 40.0),
        ("Beta", "hour (100/hour)", None, 30, 30.0), ("Acme", "hour (200/hour)", None, 20, 10.0),
        ("Beta", "month (1000/month)", None, 30, 3.0), ("Acme", "month (1000/month)", None, 20, 2.0),
    ]  # fmt: skip
    assert facts_of(report) == {"over_80": 0, "over_100": 0}
    only = await reports.make("limit-pressure", organization="beta", limit=1)
    assert (rows_of(only)[0]["organization"], only.more) == ("Beta", True)


async def test_quotas_are_under_pressure_by_the_units_that_were_sold(shop, reports, database):
    quotas = parse_limits([], quotas=["1000/day"])
    await plans.create(database, slug="heavy", name="Heavy", limits=quotas)
    await operations.change(database, shop.slow, quota_cost=90)
    for slug, mode in (("acme", "quota"), ("beta", "credits")):
        await organizations.change(database, slug, billing_mode=mode)
        await change_plan(database, getattr(shop, slug).id, "heavy")
    await shop.store(*[shop.call(who, operation=shop.slow) for who in ("acme", "beta") for _ in range(10)])
    (row,) = rows_of(await reports.make("limit-pressure"))
    assert (row["organization"], row["used"], row["used_share"]) == ("Acme", 900, 90.0), (
        "beta's gateway counts no units"
    )
    await operations.change(database, shop.slow, quota_cost=1)
    (row,) = rows_of(await reports.make("limit-pressure"))
    assert (row["used"], row["used_share"]) == (900, 90.0), "until its next period acme has the units that it was sold"


async def test_credit_flows_are_the_ledger_s_by_day(shop, reports, database):
    bought = await grant(database, shop.acme.id, amount_micro=10 * CREDIT, reason="invoice 1", type=EntryType.PURCHASE)
    await grant(database, shop.beta.id, amount_micro=2 * CREDIT, reason="welcome")
    await adjust(database, shop.acme.id, amount_micro=CREDIT, reason="up")
    await adjust(database, shop.beta.id, amount_micro=-CREDIT, reason="down")
    await refund(database, bought.entry.id, amount_micro=3 * CREDIT, reason="wanted less")
    await shop.store(shop.call("acme", cost_micro=500_000))
    report = await reports.make("credit-flows", window="7d")
    today = rows_of(report)[0]
    assert {name: today[name] for name in ("bought", "granted", "spent", "paid_back", "given_back", "adjusted", "expired")} == {
        "bought": 10 * CREDIT, "granted": 2 * CREDIT, "spent": 500_000, "paid_back": 3 * CREDIT, "given_back": 0,
        "adjusted": 0, "expired": 0,
    }  # fmt: skip
    assert today["net"] == 8_500_000
    facts = facts_of(report)
    owned = await database.fetchval("select sum(balance_micro)::bigint from credit_account")
    assert (facts["owed"], facts["owners"], facts["net"]) == (owned, 2, 8_500_000)
    assert owned == 8_500_000
    acme = await reports.make("credit-flows", window="24h", organization="acme")
    assert (rows_of(acme)[0]["adjusted"], facts_of(acme)["owed"]) == (CREDIT, 7_500_000)


async def test_cohorts_and_funnel_follow_what_organizations_did_first(shop, reports, database):
    await database.execute(
        "insert into users (username, email, password, first_name, last_name, active) values ('a@x.example', 'a@x.example', 'x',"
        " '', '', true)"
    )
    await database.execute(
        "insert into membership (id, organization_id, user_id, role) select gen_random_uuid(), $1, id, 'owner' from users",
        shop.acme.id,
    )
    assert facts_of(await reports.make("funnel"))["paying"] == 0.0
    await database.execute("update users set email_verified_at = now()")
    await shop.store(
        shop.call("acme", cost_micro=100_000),
        shop.call("beta", status=404),
        shop.call("beta", status=429, outcome="refused"),
    )
    await database.execute(
        "insert into organization (id, slug, name, created_at) values ($1, 'old', 'Old', now() - interval '200 days')",
        uuid4(),
    )
    rows = rows_of(await reports.make("funnel", window="30d"))
    assert [row["organizations"] for row in rows] == [2, 1, 2, 2, 1, 1, 2]
    assert [row["of_all"] for row in rows] == [100.0, 50.0, 100.0, 100.0, 50.0, 50.0, 100.0]
    assert rows[5]["of_previous"] == 100.0
    week = rows_of(await reports.make("cohorts"))
    assert len(week) == 1
    assert (week[0]["signed_up"], week[0]["called_1"], week[0]["called_30_share"]) == (2, 2, 100.0)
    assert (week[0]["priced_30"], week[0]["priced_30_share"], week[0]["paid_plan"]) == (1, 50.0, 2)
    assert week[0]["week"].weekday() == 0


async def test_the_first_call_is_the_first_whatever_is_stored_later(shop, database):
    await shop.store(shop.call("acme", DAY, status=500))
    await shop.store(shop.call("acme"))
    await shop.store(shop.call("acme", 2 * DAY, cost_micro=1))
    row = await database.fetchrow("select * from organization_milestone where organization_id = $1", shop.acme.id)
    minute = shop.now.replace(second=0)
    assert row["first_call_at"] == row["first_success_at"] == row["first_priced_at"] == minute - 2 * DAY


async def test_keys_are_listed_by_what_is_wrong_with_them(shop, reports, database):
    await shop.store(shop.call("acme"))
    report = await reports.make("key-hygiene", which="never-used")
    assert [(row["key"], row["organization"], row["last_used"]) for row in rows_of(report)] == [
        ("beta key", "Beta", None)
    ]
    facts = facts_of(report)
    assert (facts["keys"], facts["never_used"], facts["never_used_share"], facts["no_expiry"]) == (2, 1, 50.0, 2)
    await database.execute(
        "update api_key set last_used_at = now() - interval '91 days', expires_at = now() + interval '1 day',"
        " allowed_ips = array['198.51.100.0/24'] where id = $1",
        shop.keys["acme"],
    )
    idle = await reports.make("key-hygiene", which="idle")
    assert [row["key"] for row in rows_of(idle)] == ["acme key"]
    assert idle.filters[0]["key"] == str(shop.keys["acme"])
    for which in ("no-expiry", "no-ip-list"):
        assert [row["key"] for row in rows_of(await reports.make("key-hygiene", which=which))] == ["beta key"]
    await database.execute("update api_key set revoked_at = now() where id = $1", shop.keys["beta"])
    assert (await reports.make("key-hygiene", which="never-used")).rows == ()


async def test_keys_are_paged_without_gap(shop, reports, database):
    await database.execute(
        "insert into api_key (id, organization_id, name, scheme, public_id, prefix, last4, digest, pepper_version)"
        " select gen_random_uuid(), $1, 'k' || i, 'hmac', i::text, 'pe', 'abcd', sha256(i::text::bytea), 1"
        " from generate_series(1, 23) i",
        shop.acme.id,
    )
    seen = []
    for page in range(1, 6):
        report = await reports.make("key-hygiene", which="never-used", limit=5, page=page)
        seen += [row["key"] for row in rows_of(report)]
        assert report.more == (page < 5)
    assert len(set(seen)) == len(seen) == 25


async def test_a_use_is_written_once_in_a_while(shop, database):
    used = "select last_used_at from api_key where id = $1"
    minute = shop.now.replace(second=0)
    await shop.store(shop.call("acme", HOUR))
    assert await database.fetchval(used, shop.keys["acme"]) == minute - HOUR
    await shop.store(shop.call("acme", timedelta(minutes=52)))
    assert await database.fetchval(used, shop.keys["acme"]) == minute - HOUR
    await shop.store(shop.call("acme"))
    assert await database.fetchval(used, shop.keys["acme"]) == minute
    await shop.store(shop.call("acme", DAY))
    assert await database.fetchval(used, shop.keys["acme"]) == minute


async def test_system_health_sees_what_waits(shop, reports, database):
    await shop.store(shop.call("acme", HOUR), folded=False)
    await database.execute(
        "insert into outbox_message (id, template, recipient, content, state, ended_at, due_at) values"
        " (gen_random_uuid(), 'verify_email', 'a@x.example', '', 'failed', now(), now()),"
        " (gen_random_uuid(), 'verify_email', 'a@x.example', '', 'waiting', null, now() - interval '1 hour')"
    )
    rows = {(row["part"], row["what"]): row for row in rows_of(await reports.make("system-health"))}
    assert (
        rows["ingest", "batches not in the rollups yet"]["value"],
        rows["ingest", "batches not in the rollups yet"]["state"],
    ) == ("1", "late")
    assert (rows["mails", "waiting"]["value"], rows["mails", "waiting"]["state"]) == ("1", "late")
    assert rows["mails", "given up in the last day"]["state"] == "failed"
    assert rows["webhooks", "waiting"]["state"] == "ok"
    assert rows["request log", "newest day"]["state"] == "ok"
    assert any(part == "table" for part, _ in rows)


def test_no_refusal_is_counted_where_none_was():
    assert Refusals().rows() == []


async def test_the_last_run_of_each_job_is_told_where_runs_are_kept(reports, database):
    await database.execute(
        "create table if not exists job_run (id uuid primary key default gen_random_uuid(), name text, state text,"
        " created_at timestamptz, ended_at timestamptz, ticket text)"
    )
    await database.execute(
        "insert into job_run (ticket, name, state, created_at, ended_at) values"
        " ('1', 'tidy', 'failed', now() - interval '2 h', now()), ('2', 'tidy', 'succeeded', now(), now()),"
        " ('3', 'mail', 'failed', now(), now()), ('4', 'zip', 'running', now(), null)"
    )
    rows = [row for row in rows_of(await reports.make("system-health")) if row["part"] == "job"]
    assert [(row["what"], row["value"], row["state"]) for row in rows] == [
        ("mail", "failed", "failed"), ("tidy", "succeeded", "ok"), ("zip", "running", "ok"),
    ]  # fmt: skip
