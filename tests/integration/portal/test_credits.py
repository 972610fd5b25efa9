"""Credits: exact figures, a ledger that pages fast whatever its length, and an export that no spreadsheet runs."""

import csv
import io
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain import keys, operations, services
from domain.credits.granting import grant
from domain.cursors import Cursor
from tests.integration.domain.credits.accounts import hold, posted, serve, usage
from tests.summaries import summarise

MANY = 10_000
BUDGET_MS = 100


async def give(portal, person, micro: int, **more):
    async with portal.pool.acquire() as connection:
        return await grant(connection, person.organization.id, amount_micro=micro, **{"reason": "Welcome", **more})


@pytest.fixture(scope="module")
async def rich(portal):
    """Somebody whose ledger has 10,000 entries: a bonus among nine usages, one in a minute."""
    person = await portal.person("owner")
    await portal.pool.execute(
        "insert into credit_entry (created_at, organization_id, type, debit, credit, amount_micro,"
        " balance_after_micro, number, reason, requests, stored_at, first_at, last_at)"
        " select at, $1, case when g then 'bonus' else 'usage' end, case when g then 'bonuses' else 'credits' end,"
        " case when g then 'credits' else 'usage' end, 1, n, n, 'entry ' || n, case when g then 0 else 1 end,"
        " case when g then null else at end, case when g then null else at end, case when g then null else at end"
        " from (select n, n % 10 = 0 as g, date_trunc('second', now()) - (10000 - n) * interval '1 minute' as at"
        " from generate_series(1, $2::int) as s (n)) as made",
        person.organization.id,
        MANY,
    )
    return person


async def test_the_balance_is_exact_to_the_millionth(portal, owner):
    soon = datetime.now(UTC) + timedelta(days=3)
    await give(portal, owner, 100_000_001)
    await give(portal, owner, 2_000_000, expires_at=soon)
    await hold(portal.pool, owner.organization.id, leased=1_500_000, reserved=500_000)
    answer = (await owner.browser.get("/api/credits/balance")).json()
    assert (answer["balance"], answer["available"]) == ("102.000001", "100.000001")
    assert (answer["leased"], answer["reserved"]) == ("1.5", "0.5")
    assert (answer["spent_a_day"], answer["days_left"]) == ("0", None)
    assert [one["credits"] for one in answer["expiries"]] == ["2"]
    page = await owner.browser.get(f"{owner.root}/credits")
    assert page.status_code == 200
    assert "102.000001" in page.text
    assert "2 credits" in page.text
    assert "Credits are granted by the operator" in page.text


async def test_without_any_credits_the_page_says_so(owner):
    page = await owner.browser.get(f"{owner.root}/credits")
    assert page.status_code == 200
    assert "No credits have moved yet" in page.text
    assert (await owner.browser.get("/api/credits/balance")).json()["balance"] == "0"
    statistics = (await owner.browser.get("/api/credits/statistics?days=7")).json()
    assert [day["spent"] for day in statistics["days"]] == ["0"] * 7


@pytest.mark.parametrize(("role", "status"), [("billing", 200), ("developer", 200), ("viewer", 403)])
async def test_who_may_see_credits(portal, owner, role, status):
    member = await portal.person(role, owner.organization)
    booked = await give(portal, owner, 5_000_000)
    for path in ("", "/export", "/statistics", f"/entries/{booked.entry.id}"):
        assert (await member.browser.get(f"{owner.root}/credits{path}")).status_code == status
    for path in ("balance", "transactions", "transactions/export", "statistics", f"transactions/{booked.entry.id}"):
        assert (await member.browser.get(f"/api/credits/{path}")).status_code == status


async def test_entries_of_others_do_not_exist(portal, owner):
    stranger = await portal.person()
    booked = await give(portal, stranger, 5_000_000, reason="theirs alone")
    for entry_id in (booked.entry.id, uuid4()):
        assert (await owner.browser.get(f"{owner.root}/credits/entries/{entry_id}")).status_code == 404
        assert (await owner.browser.get(f"/api/credits/transactions/{entry_id}")).status_code == 404
        assert (await owner.browser.get(f"/api/credits/transactions/{entry_id}/requests")).status_code == 404
    for path in (f"{owner.root}/credits", f"{owner.root}/credits/export", "/api/credits/transactions"):
        assert "theirs alone" not in (await owner.browser.get(path)).text


async def test_the_ledger_is_walked_once_and_whole_newest_first(rich):
    numbers, cursor = [], None
    while True:
        query = "?limit=200" + (f"&cursor={cursor}" if cursor else "")
        answer = (await rich.browser.get(f"/api/credits/transactions{query}")).json()
        numbers += [entry["number"] for entry in answer["data"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert numbers == list(range(MANY, 0, -1))


async def test_entries_of_one_moment_are_in_the_order_of_their_balances(portal, owner):
    await give(portal, owner, 10_000_000)
    async with portal.pool.acquire() as connection:
        await posted(connection, *(usage(owner.organization.id, 1_000_000) for _ in range(5)))
    seen, cursor = [], ""
    while cursor is not None:
        answer = (await owner.browser.get(f"/api/credits/transactions?limit=2{cursor and f'&cursor={cursor}'}")).json()
        seen += [(entry["credits"], entry["balance_after"]) for entry in answer["data"]]
        cursor = answer["next_cursor"]
    assert seen == [("-1", "5"), ("-1", "6"), ("-1", "7"), ("-1", "8"), ("-1", "9"), ("10", "10")]


async def test_entries_are_found_by_type_and_time(portal, rich):
    middle = await portal.pool.fetchval(
        "select created_at from credit_entry where organization_id = $1 and number = 5000", rich.organization.id
    )
    between = {"since": middle.isoformat(), "until": (middle + timedelta(minutes=20)).isoformat()}
    answer = (await rich.browser.get("/api/credits/transactions", params=between)).json()
    assert [entry["number"] for entry in answer["data"]] == list(range(5019, 4999, -1))
    answer = (await rich.browser.get("/api/credits/transactions", params={**between, "type": "bonus"})).json()
    assert [entry["number"] for entry in answer["data"]] == [5010, 5000]
    page = await rich.browser.get(f"{rich.root}/credits?type=bonus")
    assert "type=bonus&amp;cursor=" in page.text
    day = f"{middle:%Y-%m-%d}"
    assert "entry 5000" in (await rich.browser.get(f"{rich.root}/credits/export?since={day}&until={day}")).text


@pytest.mark.parametrize("query", ["type=theft", "since=yesterday", "until=0001-01-01", "until=9999-12-31"])
async def test_a_filter_that_is_none_is_told(owner, query):
    page = await owner.browser.get(f"{owner.root}/credits?{query}")
    assert page.status_code == 422
    assert 'role="alert"' in page.text


@pytest.mark.parametrize("query", ["type=theft", "since=yesterday", "since=2026-01-01T00:00:00", "limit=0"])
async def test_a_query_that_is_none_is_told(owner, query):
    assert (await owner.browser.get(f"/api/credits/transactions?{query}")).status_code == 422


async def test_a_cursor_that_no_page_gave_is_told(owner):
    assert (await owner.browser.get("/api/credits/transactions?cursor=x")).status_code == 404
    page = await owner.browser.get(f"{owner.root}/credits?cursor=x")
    assert page.status_code == 404
    assert "Begin with the first page again" in page.text


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-12:00"])
async def test_moments_beyond_the_calendar_do_no_harm(owner, at):
    assert (await owner.browser.get(f"/api/credits/transactions?since={at}")).status_code == 200
    assert (await owner.browser.get(f"/api/credits/transactions?until={at}")).status_code == 200


async def test_every_page_of_ten_thousand_entries_comes_within_the_budget(portal, rich):
    await portal.pool.execute("analyze credit_entry")
    cursors = [None]
    for _ in range(3):
        query = f"&cursor={cursors[-1]}" if cursors[-1] else ""
        cursors.append((await rich.browser.get(f"/api/credits/transactions?limit=200{query}")).json()["next_cursor"])
    deep = await portal.pool.fetchrow(
        "select created_at, id from credit_entry where organization_id = $1 and number = 60", rich.organization.id
    )
    paths = [
        "",
        f"?cursor={cursors[-1]}",
        f"?cursor={Cursor(deep['created_at'], deep['id'])}",
        "?type=bonus",
        "?type=purchase",
    ]
    for path in paths:
        spent = []
        for _ in range(7):
            begin = time.perf_counter()
            assert (await rich.browser.get(f"{rich.root}/credits{path}")).status_code == 200
            spent.append((time.perf_counter() - begin) * 1000)
        # The best one: what the others wait for is other work of this machine.
        assert min(spent) < BUDGET_MS, f"{path}: {min(spent):.0f} ms"


async def test_the_export_has_every_entry_once(rich):
    answer = await rich.browser.get(f"{rich.root}/credits/export")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="{rich.organization.slug}-credits-')
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["number"]) for row in rows] == list(range(MANY, 0, -1))
    assert (rows[0]["type"], rows[0]["credits"], rows[1]["credits"]) == ("bonus", "0.000001", "-0.000001")
    assert answer.text == (await rich.browser.get("/api/credits/transactions/export")).text


@pytest.mark.parametrize("words", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", '"quoted", and\nbroken'])
async def test_a7_words_in_the_export_are_no_formulas_and_stay_one_cell(portal, owner, words):
    await give(portal, owner, 1_000_000, reference=words.replace("\n", " "), reason="fine")
    [row] = csv.DictReader(io.StringIO((await owner.browser.get(f"{owner.root}/credits/export")).text))
    assert not row["reference"].startswith(("=", "+", "-", "@"))
    assert row["reference"].removeprefix("'") == words.replace("\n", " ")


async def test_a7_words_on_the_page_are_escaped(portal, owner):
    await give(portal, owner, 1_000_000, reason="<script>alert(1)</script>")
    page = await owner.browser.get(f"{owner.root}/credits")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text


async def test_a_usage_entry_leads_to_the_requests_behind_it(portal, owner):
    await give(portal, owner, 10_000_000)
    await hold(portal.pool, owner.organization.id, leased=3_000_000)
    async with portal.pool.acquire() as connection:
        [entry] = await serve(connection, {owner.organization.id: [1_000_000, 2_000_000]})
    page = await owner.browser.get(f"{owner.root}/credits/entries/{entry.id}")
    assert page.status_code == 200
    answer = (await owner.browser.get(f"/api/credits/transactions/{entry.id}/requests")).json()
    assert sorted(one["credits"] for one in answer["data"]) == ["1", "2"]
    for one in answer["data"]:
        assert f"{owner.root}/logs/{one['id']}" in page.text


async def test_statistics_add_up_by_day_service_operation_and_key(portal, owner):
    await give(portal, owner, 50_000_000)
    async with portal.pool.acquire() as connection:
        slug = f"s-{uuid4().hex[:8]}"
        service = await services.create(
            connection, slug=slug, name=slug, prefix=f"/{slug}", upstreams=["http://127.0.0.1:1"]
        )
        operation = await operations.create(
            connection, service_slug=slug, name="today", method="GET", path_pattern="/today"
        )
        key = await keys.create(connection, portal.settings.keys, organization_id=owner.organization.id, name="main")
    now = datetime.now(UTC)
    for grain, bucket in (("day", now.replace(hour=0, minute=0, second=0, microsecond=0)),
                          ("hour", now.replace(minute=0, second=0, microsecond=0))):  # fmt: skip
        for days in (0, 1):
            await portal.pool.execute(
                "insert into usage_rollup (organization_id, key_id, service_id, operation_id, bucket, grain,"
                " status_class, requests, cost_micro) values ($1, $2, $3, $4, $5, $6, 2, 10, 3500000)",
                owner.organization.id,
                key.record.id,
                service.id,
                operation.id,
                bucket - timedelta(days=days),
                grain,
            )
    await summarise(portal.pool, owner.organization.id)
    answer = (await owner.browser.get("/api/credits/statistics?days=30")).json()
    assert len(answer["days"]) == 30
    assert [(day["spent"], day["received"]) for day in answer["days"][-2:]] == [("3.5", "0"), ("3.5", "50")]
    expected = {"spent": "7", "requests": 20}
    assert answer["services"] == [{"name": slug, **expected}]
    assert answer["operations"] == [{"name": f"{slug}: today", **expected}]
    assert answer["keys"] == [{"name": "main", **expected}]
    balance = (await owner.browser.get("/api/credits/balance")).json()
    assert balance["days_left"] == 7
    page = await owner.browser.get(f"{owner.root}/credits/statistics?days=90")
    assert page.status_code == 200
    assert page.text.count("<rect") == 3


@pytest.mark.parametrize("days", ["0", "91", "x", ""])
async def test_statistics_of_other_spans_are_refused(owner, days):
    assert (await owner.browser.get(f"/api/credits/statistics?days={days}")).status_code == 422
    assert (await owner.browser.get(f"{owner.root}/credits/statistics?days={days}")).status_code == 422
