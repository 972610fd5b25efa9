"""The ledger is proved against requests that only ClickHouse has: what drifts is found as if PostgreSQL had kept them."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from domain.credits import old_usage_checks
from domain.credits.reconciling import reconcile
from domain.log_store.address import parse_address
from domain.log_store.clickhouse import ClickHouse
from domain.log_store.clickhouse_logs import ClickHouseLogs
from domain.log_store.leaving import leave_postgres
from domain.log_store.outbox import adopt
from domain.log_store.store import POSTGRES
from domain.partitions import ensure_partitions, present_days, today
from tests.backups import command
from tests.clickhouse.moving import send_all
from tests.integration.domain.credits.accounts import bonus, new_organizations, posted, serve

BACK = """
update request_log set at = at - $1::interval, created_at = created_at - $2::interval
 where created_at = (select max(created_at) from request_log)
"""
ENTRIES_BACK = """
update credit_entry set first_at = first_at - $1::interval, last_at = last_at - $1::interval,
       stored_at = stored_at - $2::interval, created_at = created_at - $2::interval where type = 'usage' and stored_at = (select max(stored_at) from credit_entry)
"""


async def _day(database, costs, ago: int, spread: timedelta | None = None, *, late: bool = False) -> None:
    """What was served, charged, and stored so many days ago, or only now; with `spread` one request ended so much later."""
    days = timedelta(days=ago)
    await serve(database, costs, held="")
    await database.execute("set session_replication_role = replica")
    await database.execute(BACK, days, timedelta() if late else days)
    await database.execute(ENTRIES_BACK, days, timedelta() if late else days)
    if spread:
        last = "(select id from request_log where cost_micro = 77)"
        await database.execute(f"update request_log set at = at + $1::interval where id = {last}", spread)
        await database.execute(
            "update credit_entry p set last_at = r.at from request_log r where r.cost_micro = 77 and p.type = 'usage'"
            " and p.stored_at = r.created_at and p.organization_id = r.organization_id"
        )
    await database.execute("set session_replication_role = origin")


@pytest.fixture
async def owners(database):
    await ensure_partitions(database, today() - timedelta(days=8), today())
    owners = await new_organizations(database, 2)
    for owner in owners:
        await posted(database, bonus(owner, 1_000_000))
    for ago in (7, 5, 3):
        await _day(database, {owners[0]: [30, 0, 5 + ago], owners[1]: [9]}, ago)
    # One batch whose rows are on a day that is dropped and on one that is not.
    await _day(database, {owners[1]: [77, 3]}, 2, timedelta(days=1))
    await _day(database, {owners[0]: [4], owners[1]: [8, 8]}, 0)
    return owners


async def _moved(database, store) -> None:
    await adopt(database, store)
    await send_all(database, store)
    done = await leave_postgres(database, store, datetime.now(UTC), 1)
    assert not done.kept
    assert min(await present_days(database)) == today() - timedelta(days=1)


async def _drifted(database, owners) -> None:
    """A request that nobody was charged for, a charge that is too high, and one without its requests."""
    await database.execute("set session_replication_role = replica")
    await database.execute(
        "update request_log set created_at = created_at + interval '7 seconds'"
        " where id = (select id from request_log where organization_id = $1 and cost_micro > 0 order by at limit 1)",
        owners[0],
    )
    await database.execute(
        "update request_log set cost_micro = cost_micro + 1 where cost_micro > 0 and organization_id = $1"
        " and at < now() - interval '4 days'",
        owners[1],
    )
    await database.execute("delete from request_log where cost_micro = 77")
    await database.execute("set session_replication_role = origin")


@pytest.mark.parametrize("drift", [False, True])
async def test_the_answer_is_that_of_a_postgres_that_kept_its_days(database, turned_on, owners, drift):
    if drift:
        await _drifted(database, owners)
    whole, logs = await reconcile(database), ClickHouseLogs(turned_on)
    assert (whole.usage_entries, whole.usage_entries_checked) == (9, 9)
    assert len(whole.drifts) == (8 if drift else 0)
    assert await reconcile(database, logs) == whole
    await _moved(database, turned_on)
    assert await reconcile(database, logs) == whole
    alone = await reconcile(database, POSTGRES)
    assert (alone.usage_entries_checked, alone.not_compared) == (2, "")
    # A day that nobody has any more: what ended before its end cannot be compared.
    await turned_on.execute(f"alter table request_log drop partition id '{today() - timedelta(days=5):%Y%m%d}'")
    assert (await reconcile(database, logs)).usage_entries_checked == 5


async def test_rows_of_a_dropped_day_that_are_not_sent_yet_count_once(database, turned_on, owners):
    await _moved(database, turned_on)
    await ensure_partitions(database, today() - timedelta(days=3), today())
    await _day(database, {owners[0]: [6, 7]}, 3, late=True)
    logs = ClickHouseLogs(turned_on)
    await adopt(database, turned_on)
    for _ in range(2):
        found = await reconcile(database, logs)
        assert (found.drifts, found.usage_entries_checked, found.usage_entries) == ([], 10, 10)
        await send_all(database, turned_on)


async def test_it_says_so_where_the_log_store_is_away(database, fresh_database_url, log_store_url, turned_on, owners):
    await _moved(database, turned_on)
    away = ClickHouse(parse_address("clickhouse://logs:x@127.0.0.1:1/logs"))
    found = await reconcile(database, ClickHouseLogs(away))
    await away.close()
    assert (found.drifts, found.usage_entries_checked) == ([], 2)
    assert "was not compared" in found.not_compared
    done = await command(fresh_database_url, "credits", "reconcile", "--json", LOG_STORE_URL=log_store_url)
    data = json.loads(done.out)
    assert (data["usage_entries_checked"], data["not_compared"]) == (9, "")


async def test_entries_of_a_day_are_found_along_an_index_however_many_there_are(database):
    await database.execute("set enable_seqscan = off")
    moment = datetime.now(UTC)
    plan = await database.fetch(f"explain {old_usage_checks._POSTED}", moment, moment)
    assert "Index Cond: ((created_at >=" in "\n".join(line for (line,) in plan)
