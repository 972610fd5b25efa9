"""Each batch arrives once: sent again under its name it is known, whatever was killed before it was noted."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain import organizations, plans
from domain.backups.needed_logs import left_out
from domain.backups.settling import settle
from domain.backups.tables import tables
from domain.log_search import LogSearch
from domain.log_store import outbox
from domain.log_store.address import parse_address
from domain.log_store.clickhouse import ClickHouse, LogStoreAway
from domain.log_store.clickhouse_logs import ClickHouseLogs
from domain.log_store.leaving import expire, leave_postgres, stored_days
from domain.log_store.shipping import send, send_next
from domain.log_store.turning import report, turn_off, turn_on
from domain.log_summaries import summarise
from domain.partitions import ensure_partitions, partition_name, present_days, today
from tests.clickhouse.moving import move_all, send_all
from tests.request_rows import write_request
from tests.snapshots import log_row, store

COUNT = "select count(), uniqExact(id), sum(cost_micro) from request_log"


async def test_a_batch_is_noted_in_the_transaction_that_stores_it_and_only_while_it_is_on(database, turned_on):
    await store(database, [log_row() for _ in range(7)])
    assert await database.fetchval("select sum(rows) from log_outbox") == 7
    assert await send_all(database, turned_on) == 7
    assert await turned_on.rows(COUNT) == [[7, 7, 0]]
    assert (await outbox.left(database)).batches == 0
    assert await turn_off(database)
    assert not await turn_off(database)
    await store(database, [log_row()])
    assert await database.fetchval("select count(*) from log_outbox") == 0


async def test_what_was_sent_and_not_noted_is_sent_again_and_counts_once(database, turned_on):
    for _ in range(3):
        await store(database, [log_row(cost_micro=5), log_row(at=datetime.now(UTC) - timedelta(days=1))])
    shipment = await outbox.next_shipment(database)
    data, rows = await outbox.rows_of(database, shipment)
    for _ in range(3):
        assert await outbox.rows_of(database, shipment) == (data, rows)
        await turned_on.insert(
            f"insert into request_log ({', '.join(outbox.COLUMNS)}) format TabSeparated", data, str(shipment)
        )
    assert await outbox.next_shipment(database) == shipment
    assert await send_next(database, turned_on) == 6
    assert await turned_on.rows(COUNT) == [[6, 6, 15]]
    assert await send_next(database, turned_on) == 0


async def test_a_batch_of_which_the_log_store_lost_a_part_is_sent_whole(database, turned_on):
    yesterday = datetime.now(UTC) - timedelta(days=1)
    await store(database, [log_row(), log_row(at=yesterday)])
    shipment = await outbox.next_shipment(database)
    await send(database, turned_on, shipment)
    await turned_on.execute(f"alter table request_log drop partition id '{yesterday:%Y%m%d}'")
    assert await turned_on.rows("select count() from request_log") == [[1]]
    # Lost there later, it is found by the comparison, and sent whole under another name.
    assert await outbox.adopt(database, turned_on) == 2
    assert await send_all(database, turned_on) == 2
    assert await turned_on.rows(COUNT) == [[2, 2, 0]]


async def test_shipments_are_bounded_and_go_oldest_first(database, turned_on):
    for _ in range(10):
        await store(database, [log_row() for _ in range(5)])
    oldest = [row["stored_at"] for row in await database.fetch("select stored_at from log_outbox order by 1")]
    shipment = await outbox.next_shipment(database, most_rows=12)
    chosen = [
        row["stored_at"]
        for row in await database.fetch("select stored_at from log_outbox where shipment = $1 order by 1", shipment)
    ]
    assert chosen == oldest[:3]
    assert (await outbox.rows_of(database, shipment))[1] == 15


async def test_rows_from_before_are_adopted_once(database, fresh_database_url, log_store):
    await store(database, [log_row() for _ in range(9)])
    first = await turn_on(fresh_database_url, log_store)
    assert (first.new, first.adopted) == (True, 9)
    again = await turn_on(fresh_database_url, log_store)
    assert (again.versions, again.new, again.adopted) == (0, False, 0)
    assert await send_all(database, log_store) == 9
    assert await outbox.adopt(database, log_store) == 0
    assert await log_store.rows(COUNT) == [[9, 9, 0]]
    found = await report(database, log_store)
    assert (found.on, found.ready, found.waiting.rows, found.days) == (True, True, 0, [today()])


async def test_until_all_is_adopted_pages_read_postgresql(database, turned_on):
    await database.execute("update log_store set adopted_at = null")
    owner = uuid4()
    await store(database, [log_row(organization_id=owner)])
    assert len((await ClickHouseLogs(turned_on).search(database, owner, _anything())).entries) == 1
    assert await turned_on.rows("select count() from request_log") == [[0]]


async def test_a_day_leaves_postgresql_only_when_the_log_store_has_it_to_the_row(database, turned_on):
    day = today() - timedelta(days=3)
    for number in range(5):
        await write_request(database, uuid4(), ago=timedelta(days=3), cost_micro=number)
    now = datetime.now(UTC)
    done = await leave_postgres(database, turned_on, now, 1)
    assert done.dropped == []
    assert done.kept == {day: "the log store has 0 rows of it instead of 5, or others"}
    # Nobody had noted these rows: the comparison adopted them, and the next time they wait.
    assert (await leave_postgres(database, turned_on, now, 1)).kept == {
        day: "not all of it is sent to the log store yet"
    }
    await send_all(database, turned_on)
    await turned_on.execute(
        "alter table request_log update cost_micro = 7 where cost_micro = 3 settings mutations_sync = 2"
    )
    assert day in (await leave_postgres(database, turned_on, now, 1)).kept
    await turned_on.execute(
        "alter table request_log update cost_micro = 3 where cost_micro = 7 settings mutations_sync = 2"
    )
    assert (await leave_postgres(database, turned_on, now, 1)).dropped == [day]
    assert day not in await present_days(database)
    assert await database.fetchval("select sum(requests)::bigint from log_summary where day = $1", day) == 5


async def test_rows_that_come_late_to_a_day_that_left_go_the_same_way(database, turned_on):
    owner, at = uuid4(), datetime.now(UTC) - timedelta(days=4)
    await ensure_partitions(database, at.date(), at.date())
    await store(database, [log_row(organization_id=owner, at=at) for _ in range(3)])
    await database.execute("delete from usage_unfolded")
    await send_all(database, turned_on)
    assert (await leave_postgres(database, turned_on, datetime.now(UTC), 1)).dropped == [at.date()]
    await store(database, [log_row(organization_id=owner, at=at) for _ in range(2)])
    await database.execute("delete from usage_unfolded")
    logs = ClickHouseLogs(turned_on)
    assert len((await logs.search(database, owner, _anything())).entries) == 5
    assert "not all" in (await leave_postgres(database, turned_on, datetime.now(UTC), 1)).kept[at.date()]
    await send_all(database, turned_on)
    assert len((await logs.search(database, owner, _anything())).entries) == 5
    assert (await leave_postgres(database, turned_on, datetime.now(UTC), 1)).dropped == [at.date()]
    assert len((await logs.search(database, owner, _anything())).entries) == 5


async def test_the_log_store_lets_days_go_whole_and_keeps_what_a_plan_sells(database, turned_on):
    await plans.create(database, slug="long", limits=[], log_days=30)
    kept = await organizations.create(database, name="Kept", plan_slug="long", slug="kept")
    for days, owner in ((10, uuid4()), (9, kept.id), (40, kept.id)):
        await write_request(database, owner, ago=timedelta(days=days))
    await move_all(database, turned_on)
    done = await expire(database, turned_on, datetime.now(UTC), 3)
    assert done.dropped == [today() - timedelta(days=40), today() - timedelta(days=10)]
    assert done.kept == {today() - timedelta(days=9): "plan long keeps it"}
    assert await stored_days(turned_on) == [today() - timedelta(days=9)]


async def test_after_a_restore_the_log_store_forgets_what_postgresql_does_not_know(database, turned_on):
    await store(database, [log_row() for _ in range(4)])
    await send_all(database, turned_on)
    moment = await database.fetchval("select clock_timestamp()")
    await store(database, [log_row() for _ in range(3)])
    await send_all(database, turned_on)
    # As a backup of that moment has it: the batch behind it is unknown, and was not sent.
    await database.execute("delete from request_log where created_at > $1", moment)
    await store(database, [log_row() for _ in range(2)])
    await database.execute("update log_store set rewind_from = $1", moment)
    await send_all(database, turned_on)
    assert await turned_on.rows("select count(), uniqExact(id) from request_log") == [[6, 6]]
    assert await database.fetchval("select rewind_from from log_store") is None


async def test_a_restore_says_from_where_on_the_log_store_has_to_forget(database, turned_on):
    await store(database, [log_row() for _ in range(4)])
    await send_all(database, turned_on)
    last = await database.fetchval("select max(created_at) from request_log")
    async with database.transaction():
        await settle(database)
    assert await database.fetchval("select rewind_from from log_store") == last + timedelta(microseconds=1)
    await store(database, [log_row() for _ in range(2)])
    async with database.transaction():
        await settle(database)
    waits = await database.fetchval("select min(stored_at) from log_outbox")
    assert await database.fetchval("select rewind_from from log_store") == waits
    await send_all(database, turned_on)
    assert await turned_on.rows(COUNT) == [[6, 6, 0]]


async def test_a_backup_without_logs_keeps_the_days_that_are_not_sent(database, turned_on):
    at = datetime.now(UTC) - timedelta(days=3)
    await ensure_partitions(database, at.date(), at.date())
    await store(database, [log_row(at=at) for _ in range(2)])
    await database.execute("delete from usage_unfolded")
    await summarise(database, at.date())
    name = partition_name(at.date())
    assert name not in await left_out(database, await tables(database), today())
    await send_all(database, turned_on)
    assert name in await left_out(database, await tables(database), today())


async def test_away_is_a_fault_with_a_code_and_postgresql_goes_on(database, turned_on):
    owner = uuid4()
    await store(database, [log_row(organization_id=owner)])
    nowhere = ClickHouse(parse_address("clickhouse://127.0.0.1:1/logs"))
    with pytest.raises(LogStoreAway) as fault:
        await ClickHouseLogs(nowhere).search(database, owner, _anything())
    assert fault.value.code == "log_store_away"
    with pytest.raises(LogStoreAway):
        await send_next(database, nowhere)
    assert (await outbox.left(database)).rows == 1
    assert await database.fetchval(f"select count(*) from {partition_name(today())}") == 1
    await nowhere.close()


def _anything():
    return LogSearch()
