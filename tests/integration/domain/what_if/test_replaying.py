"""A draft is replayed against what a database has: logs, plans, credits, and nothing is changed by it."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from domain import plans
from domain.faults import InvalidValue, NotFound
from domain.limit_overrides import override_limit
from domain.limit_texts import parse_limits
from domain.log_store.store import POSTGRES
from domain.partitions import ensure_partitions
from domain.plan_prices import parse_price, parse_quota_cost
from domain.what_if.drafts import Changes, read_draft
from domain.what_if.replaying import Bound, what_if
from domain.what_if.results import Range
from domain.what_if.scopes import Scope
from domain.what_if.texts import COLUMNS, what_if_csv
from tests.histories import DAY, NOW, plan_of, sold_to

YESTERDAY = Scope(days=1, plan="starter")
RICH = 10**12


def exactly(number):
    return Range(number, number)


def at(hour, second=0.0):
    return DAY + timedelta(hours=hour, seconds=second)


async def replayed(connection, scope=YESTERDAY, *, plan="starter", bound=None, **changes):
    draft = await read_draft(connection, plan, Changes(**changes))
    return await what_if(connection, draft, scope, POSTGRES, now=NOW, **({"bound": bound} if bound else {}))


async def test_without_history_nothing_is_refused_and_nothing_spent(connection, history):
    await plan_of(connection, "starter", "10/hour")
    await sold_to(connection, "starter", "Acme")
    found = await replayed(connection, limits=parse_limits(["1/hour"]))
    assert (found.totals.organizations, found.totals.asked, found.rows, found.impacts) == (1, exactly(0), 0, ())
    assert found.cut == ""


async def test_a_plan_that_nobody_has_gives_an_empty_answer(connection, history):
    await plan_of(connection, "starter", "10/hour")
    found = await replayed(connection)
    assert (found.totals.organizations, found.impacts, found.not_replayed) == (0, (), 0)


async def test_a_draft_equal_to_the_plan_makes_no_difference(connection, history):
    quotas = {"quota": ["3/day"], "overage": "credits", "prices": [parse_price("weather:history=0.3")]}
    await plan_of(connection, "starter", "4/hour", "2/second per key", "2 concurrent", shadow=["1/minute"], **quotas)
    for name, mode in (("Acme", "credits"), ("Bolt", "quota")):
        organization_id = await sold_to(connection, "starter", name, mode, 700_000)
        for number in range(40):
            operation = "history" if number % 3 else "forecast"
            history.ask(organization_id, at(number // 7, number * 0.3), operation, total_us=400_000)
    await history.written()
    found = await replayed(connection)
    assert found.totals.now == found.totals.draft
    assert found.totals.now.refused.least > 0
    assert found.totals.now.out_of_credits == 2
    assert {(one.refused_difference, one.spent_difference) for one in found.impacts} == {(exactly(0), exactly(0))}


async def test_a_lower_limit_refuses_the_later_requests_of_each_hour_and_they_are_not_paid(connection, history):
    await plan_of(connection, "starter", "10/hour", price_cents=900)
    acme = await sold_to(connection, "starter", "Acme", credits_=RICH)
    ids = [history.ask(acme, at(hour, number), cost_micro=100_000) for hour in (3, 5) for number in range(5)]
    ids.append(history.ask(acme, at(5, 3_599), cost_micro=100_000))
    await history.written()
    found = await replayed(connection, limits=parse_limits(["3/hour"]), price_cents=1_900)
    (one,) = found.impacts
    assert (one.slug, one.asked, one.now.refused, one.draft.refused) == ("acme", exactly(11), exactly(0), exactly(5))
    assert (one.now.spent, one.draft.spent, one.recorded_spent) == (exactly(1_100_000), exactly(600_000), 1_100_000)
    assert (one.now.monthly_cents, one.draft.monthly_cents, one.monthly_difference) == (900, 1_900, 1_000)
    (hour,) = one.limits
    assert (hour.name, hour.refused, hour.first_at) == ("hour", exactly(5), at(3, 3))
    assert (hour.busiest_at, hour.busiest_refused) == (at(5), 3)
    assert [(sample.request_id, sample.refused_by) for sample in one.samples] == [
        (ids[n], ("hour",)) for n in (3, 4, 8, 9, 10)
    ]
    assert found.totals.refused_more == 1


async def test_what_was_refused_in_fact_is_asked_again_and_other_refusals_are_not(connection, history):
    await plan_of(connection, "starter", "2/hour")
    acme = await sold_to(connection, "starter", "Acme", credits_=RICH)
    for number in range(2):
        history.ask(acme, at(3, number), cost_micro=100_000)
    history.refused(acme, at(3, 5), limit_name="hour")
    history.refused(acme, at(3, 6), "scope_missing")
    history.ask(acme, at(3, 7), operation=None, service_id=None, status=404, outcome="refused", refusal="unknown_route")
    await history.written()
    found = await replayed(connection, limits=parse_limits(["3/hour"]))
    (one,) = found.impacts
    assert (one.asked, one.recorded_refused, one.now.refused, one.draft.refused) == (
        exactly(3),
        1,
        exactly(1),
        exactly(0),
    )
    assert one.spent_difference == exactly(100_000)
    assert one.samples == ()


async def test_a_shadow_limit_is_counted_and_refuses_nothing(connection, history):
    await plan_of(connection, "starter", "10/hour")
    acme = await sold_to(connection, "starter", "Acme", credits_=RICH)
    for number in range(5):
        history.ask(acme, at(3, number))
    await history.written()
    found = await replayed(connection, limits=parse_limits(["10/hour"], ["2/hour"]))
    (one,) = found.impacts
    assert one.draft.refused == exactly(0)
    assert [(each.name, each.shadow, each.refused) for each in one.limits] == [
        ("hour-shadow", True, exactly(3)),
        ("hour", False, exactly(0)),
    ]


async def test_beyond_a_quota_requests_are_refused_or_paid_as_the_overage_says(connection, history):
    await plan_of(connection, "starter", quota=["4/day"])
    bolt = await sold_to(connection, "starter", "Bolt", "quota", credits_=RICH)
    for number in range(6):
        history.ask(bolt, at(3, number))
    await history.written()
    costs = [parse_quota_cost("weather:forecast=2")]
    blocked = (await replayed(connection, prices=costs)).impacts[0]
    assert (blocked.now.refused, blocked.draft.refused, blocked.draft.spent) == (exactly(2), exactly(4), exactly(0))
    paid = (await replayed(connection, prices=costs, overage="credits")).impacts[0]
    assert (paid.draft.refused, paid.draft.spent) == (exactly(0), exactly(400_000))


async def test_who_runs_out_of_credits_is_refused_from_then_on_and_counted(connection, history):
    await plan_of(connection, "starter")
    acme = await sold_to(connection, "starter", "Acme", credits_=350_000)
    for number in range(4):
        history.ask(acme, at(3, number))
    await history.written()
    found = await replayed(connection, prices=[parse_price("weather:forecast=0.15")])
    (one,) = found.impacts
    assert (one.now.refused, one.draft.refused) == (exactly(1), exactly(2))
    assert (one.out_of_credits_at, found.totals.draft.out_of_credits) == (at(3, 2), 1)
    assert one.samples[0].refused_by == ("credits",)
    included = (await replayed(connection, included_micro=10_000_000)).impacts[0]
    assert (included.draft.refused, included.draft.spent) == (exactly(0), exactly(0))


async def test_credits_are_as_many_as_they_were_before_the_replayed_days(connection, history):
    await plan_of(connection, "starter")
    acme = await sold_to(connection, "starter", "Acme", credits_=100_000)
    await connection.execute(
        "insert into credit_entry (organization_id, type, debit, credit, amount_micro, balance_after_micro, number,"
        " created_at, requests, stored_at, first_at, last_at)"
        " values ($1, 'usage', 'credits', 'usage', 300000, 100000, 1, $2, 3, $2, $2, $2)", acme, at(4),
    )  # fmt: skip
    for number in range(5):
        history.ask(acme, at(3, number))
    await history.written()
    assert (await replayed(connection)).impacts[0].now.refused == exactly(1)


async def test_what_was_used_of_the_month_before_counts_in_its_window(connection, history):
    await plan_of(connection, "starter", "100/month")
    acme = await sold_to(connection, "starter", "Acme", credits_=RICH)
    await rolled(connection, history, acme, DAY - timedelta(days=3), 97)
    await rolled(connection, history, acme, datetime(2026, 10, 31, 23, tzinfo=UTC), 500)
    for number in range(5):
        history.ask(acme, at(3, number))
    await history.written()
    (one,) = (await replayed(connection, limits=parse_limits(["99/month"]))).impacts
    assert (one.now.refused, one.draft.refused) == (exactly(2), exactly(3))


async def rolled(connection, history, organization_id, bucket, requests, *, grain="hour", refused=0, status=2):
    for table, key in (("usage_rollup", history.key), ("usage_summary", "ffffffff-ffff-ffff-ffff-ffffffffffff")):
        await connection.execute(
            f"insert into {table} (organization_id, key_id, service_id, operation_id, bucket, grain, status_class,"
            " requests, refused, cost_micro) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)",
            organization_id, key, history.service_id, history.operations["forecast"], bucket, grain, status, requests,
            refused,
        )  # fmt: skip


async def test_days_without_logs_are_estimated_between_bounds(connection, history):
    await plan_of(connection, "starter", "100/hour")
    acme = await sold_to(connection, "starter", "Acme", credits_=RICH)
    old = DAY - timedelta(days=2)
    await rolled(connection, history, acme, old + timedelta(hours=1), 50)
    await rolled(connection, history, acme, old + timedelta(hours=2), 20)
    history.ask(acme, at(3))
    await history.written()
    found = await replayed(connection, Scope(days=3, plan="starter"), limits=parse_limits(["30/hour", "1/minute"]))
    (one,) = found.impacts
    assert found.exact_since == DAY
    assert (one.asked, one.estimated) == (exactly(71), 70)
    by_name = {each.name: each.refused for each in one.limits}
    assert by_name["hour"] == exactly(20)
    assert by_name["minute"] == Range(0, 49 + 19)
    assert one.draft.refused == Range(20, 70)
    assert one.now.spent == exactly(7_100_000)
    assert one.draft.spent == Range(100_000, 7_100_000)
    assert any("estimated from rollups" in sentence for sentence in found.notes)


async def test_overrides_hold_on_both_sides_and_pinned_terms_on_that_of_now(connection, history):
    await plan_of(connection, "starter", "2/hour", "5/day")
    acme = await sold_to(connection, "starter", "Acme", credits_=RICH)
    await override_limit(connection, acme, "hour", amount=4)
    await plans.change(connection, "starter", limits=parse_limits(["2/hour", "3/day"]))
    for number in range(6):
        history.ask(acme, at(number // 5, number))
    await history.written()
    (one,) = (await replayed(connection)).impacts
    assert (one.now.refused, one.draft.refused) == (exactly(1), exactly(3))


async def test_the_scope_is_a_plans_organizations_or_all_or_those_named(connection, history):
    await plan_of(connection, "starter", "10/hour")
    await plan_of(connection, "other", "10/hour")
    for name, plan in (("Acme", "starter"), ("Bolt", "other"), ("Cask", "other")):
        organization_id = await sold_to(connection, plan, name, credits_=RICH)
        for number in range(3):
            history.ask(organization_id, at(3, number))
    await history.written()
    scopes = [YESTERDAY, Scope(days=1), Scope(days=1, organizations=("cask", "acme")), Scope(days=1, plan="other")]
    found = [await replayed(connection, scope, limits=parse_limits(["2/hour"])) for scope in scopes]
    listed = [sorted(one.slug for one in each.impacts) for each in found]
    assert listed == [["acme"], ["acme", "bolt", "cask"], ["acme", "cask"], ["bolt", "cask"]]
    with pytest.raises(NotFound, match="no organization nobody"):
        await replayed(connection, Scope(days=1, organizations=("nobody",)))


async def test_days_are_whole_utc_days_and_today_is_taken_on_request(connection, history):
    await plan_of(connection, "starter", "10/hour")
    acme = await sold_to(connection, "starter", "Acme", credits_=RICH)
    for moment in (DAY - timedelta(milliseconds=2), DAY, NOW.replace(hour=0, minute=0), NOW - timedelta(hours=1)):
        history.ask(acme, moment)
    await history.written()
    scopes = (Scope(days=1), Scope(days=2), Scope(days=0, today=True), Scope(days=1, today=True))
    assert [(await replayed(connection, scope)).rows for scope in scopes] == [1, 2, 2, 3]
    with pytest.raises(InvalidValue, match="days lie between"):
        await replayed(connection, Scope(days=0))


async def test_a_run_that_is_bounded_says_that_it_was_cut(connection, history):
    await plan_of(connection, "starter", "10/hour")
    for name, number in (("Acme", 9), ("Bolt", 3)):
        organization_id = await sold_to(connection, "starter", name, credits_=RICH)
        for n in range(number):
            history.ask(organization_id, at(3, n))
    await history.written()
    limits = parse_limits(["2/hour"])
    one = await replayed(connection, limits=limits, bound=Bound(impacts=1))
    assert ([each.slug for each in one.impacts], one.left_off, one.cut, one.totals.organizations) == (
        ["acme"],
        1,
        "",
        2,
    )
    none = await replayed(connection, limits=limits, bound=Bound(seconds=0))
    assert none.cut == "It ended after 0 seconds, the most of one run."
    assert (none.rows, none.not_replayed) == (0, 2)


async def test_a_run_ends_within_a_large_organization(connection, history, monkeypatch):
    monkeypatch.setattr("domain.what_if.history.ROWS_AT_ONCE", 4)
    await plan_of(connection, "starter", "10/hour")
    for name, number in (("Acme", 9), ("Bolt", 3)):
        organization_id = await sold_to(connection, "starter", name, credits_=RICH)
        for n in range(number):
            history.ask(organization_id, at(3, n))
    await history.written()
    told = []
    draft = await read_draft(connection, "starter", Changes(limits=parse_limits(["2/hour"])))
    found = await what_if(
        connection,
        draft,
        YESTERDAY,
        POSTGRES,
        now=NOW,
        bound=Bound(rows=8),
        progress=lambda done, whole: told.append((done, whole)),
    )
    assert (found.rows, found.not_replayed, found.cut[:13]) == (8, 2, "It ended afte")
    assert [one.asked for one in found.impacts] == [exactly(8)]
    assert told[:2] == [(4, 12), (8, 12)]


async def test_nothing_is_written(connection, history):
    await plan_of(connection, "starter", "10/hour")
    acme = await sold_to(connection, "starter", "Acme", credits_=RICH)
    history.ask(acme, at(3))
    await history.written()
    # A session that may not write says so at the first attempt, also of a transaction that asks for no snapshot.
    await connection.execute("set default_transaction_read_only = on")
    before = await connection.fetchval("select last_value from catalog_generation")
    text = "plans: {starter: {limits: {hour: 1/hour}}}"
    found = await replayed(connection, text=text)
    assert found.rows == 1
    assert await connection.fetchval("select last_value from catalog_generation") == before
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await connection.execute("update plan set name = 'x'")


async def test_the_transaction_is_read_only_by_itself(connection, history):
    await plan_of(connection, "starter", "10/hour")
    acme = await sold_to(connection, "starter", "Acme", credits_=RICH)
    history.ask(acme, at(3))
    await history.written()
    draft = await read_draft(connection, "starter", Changes())
    seen = []

    class Watched:
        def __getattr__(self, name):
            return getattr(connection, name)

        async def fetch(self, *arguments):
            seen.append(await connection.fetchval("show transaction_read_only"))
            return await connection.fetch(*arguments)

    await what_if(Watched(), draft, YESTERDAY, POSTGRES, now=NOW)
    assert set(seen) == {"on"}


async def test_the_hardest_hit_come_first_in_the_list_and_in_the_csv(connection, history):
    await plan_of(connection, "starter", "10/hour")
    for name, number in (("Acme", 4), ("Bolt", 8), ("=Cask", 2)):
        organization_id = await sold_to(connection, "starter", name, credits_=RICH)
        for n in range(number):
            history.ask(organization_id, at(3, n))
    await history.written()
    found = await replayed(connection, limits=parse_limits(["3/hour"]))
    assert [one.slug for one in found.impacts] == ["bolt", "acme", "cask"]
    lines = what_if_csv(found).decode().splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert lines[1].startswith(
        "bolt,Bolt,starter,8,8,0,0,0,0,5,5,hour 5,2026-11-26T03:00:03+00:00,,0,0.8,0.8,0.3,0.3,-0.5,-0.5"
    )
    assert lines[3].startswith("cask,'=Cask,")


@pytest.mark.parametrize(("days", "about"), [(1, 500), (3, 500), (7, 3_000_000), (130, 60_000_000)])
async def test_how_many_requests_there_are_about_is_known_of_days_of_which_only_weeks_or_months_are_kept(
    connection, history, days, about
):
    """Sums of days are kept for four days."""
    await plan_of(connection, "starter", "10/hour")
    owner = await sold_to(connection, "starter", "Acme")
    await ensure_partitions(connection, (NOW - timedelta(days=days)).date(), NOW.date())
    monday = datetime(2026, 11, 16, tzinfo=UTC)  # three of its days are among the last seven
    october = datetime(2026, 10, 1, tzinfo=UTC)
    for grain, bucket, number in (("day", DAY, 500), ("week", monday, 7_000_000), ("month", october, 60_000_000)):
        await connection.execute(
            "insert into organization_usage (grain, bucket, organization_id, requests) values ($1, $2, $3, $4)",
            grain, bucket, owner, number,
        )  # fmt: skip
    scope = Scope(days=days, plan="starter")
    assert (await replayed(connection, scope, bound=Bound(counted=about))).rows == 0
    with pytest.raises(InvalidValue, match=f"about {about:,} requests"):
        await replayed(connection, scope, bound=Bound(counted=about - 1))
