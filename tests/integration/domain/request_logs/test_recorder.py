"""Rows get from `record` into the log and the rollups: all of them, once, soon, without secrets."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from domain.histogram import percentile
from domain.partitions import partition_name
from domain.request_log import COLUMNS
from tests.deadlines import until
from tests.snapshots import log_row

CANARY = "pe_live_AbCdEfGhIj_0123456789abcdefghijklmnopqrstuvwxyzAB"


async def total(database, grain="day"):
    return await database.fetchval(
        "select coalesce(sum(requests), 0)::bigint from usage_rollup where grain = $1", grain
    )


async def test_a_row_is_there_within_two_seconds_as_it_was_recorded(database, fresh_database_url, recorder_on):
    recorder = await recorder_on(fresh_database_url)
    row = log_row(organization_id=uuid4(), key_id=uuid4(), query="a=1", upstream_us=None, trace_id="ab" * 16)
    recorder.record(row)
    await until(lambda: recorder.status().written == 1, seconds=2)
    stored = await database.fetchrow("select * from request_log")
    for column in COLUMNS:
        value = stored[column]
        assert (str(value) if column == "client" else value) == getattr(row, column), column


async def test_rollups_hold_counts_sums_and_the_histogram_over_batches(database, fresh_database_url, recorder_on):
    recorder = await recorder_on(fresh_database_url, flush_ms=1)
    who, begun = uuid4(), datetime.now(UTC)
    for number in range(1, 201):
        row = log_row(organization_id=who, total_us=number * 100, at=begun, status=200 if number % 4 else 500)
        recorder.record(row)
        if number % 50 == 0:
            await until(lambda: recorder.status().queued == 0)
    await until(lambda: recorder.status().written == 200)
    for grain in ("minute", "hour", "day"):
        rows = await database.fetch("select * from usage_rollup where grain = $1 order by status_class", grain)
        assert [row["status_class"] for row in rows] == [2, 5]
        assert [row["requests"] for row in rows] == [150, 50]
        assert [row["errors"] for row in rows] == [0, 50]
        assert [row["bytes_out"] for row in rows] == [1_500, 500]
        assert sum(row["total_us_sum"] for row in rows) == 100 * 201 * 100
        assert sum(sum(row["latency"]) for row in rows) == 200
        assert 5_000 < percentile(rows[0]["latency"], 0.5) < 15_000


async def test_recorders_that_add_to_the_same_rollups_at_once_lose_nothing(database, fresh_database_url, recorder_on):
    recorders = [await recorder_on(fresh_database_url, flush_ms=1) for _ in range(4)]
    organizations = [uuid4() for _ in range(20)]
    for number in range(2_000):
        row = log_row(organization_id=organizations[number * 7 % 20])
        recorders[number % 4].record(row)
        if number % 100 == 0:
            await asyncio.sleep(0)
    await until(lambda: sum(recorder.status().written for recorder in recorders) == 2_000)
    assert await database.fetchval("select count(*) from request_log") == 2_000
    assert [await total(database, grain) for grain in ("minute", "hour", "day")] == [2_000] * 3


async def test_a_missing_partition_is_made(database, fresh_database_url, recorder_on):
    recorder = await recorder_on(fresh_database_url)
    later = datetime.now(UTC) + timedelta(days=40)
    recorder.record(log_row(at=later))
    recorder.record(log_row())
    await until(lambda: recorder.status().written == 2)
    assert await database.fetchval(f"select count(*) from {partition_name(later.date())}") == 1
    assert recorder.status().rejected == 0


async def test_a_row_that_cannot_be_stored_is_left_out_and_counted_and_the_others_are_stored(
    database, fresh_database_url, recorder_on, caplog
):
    recorder = await recorder_on(fresh_database_url)
    spoiled, unencodable = log_row(outcome="no such outcome"), log_row(bytes_in=2**70)
    for number in range(20):
        recorder.record({7: spoiled, 13: unencodable}.get(number) or log_row())
    await until(lambda: recorder.status().written == 18)
    await until(lambda: recorder.status().rejected == 2)
    assert await database.fetchval("select count(*) from request_log") == 18
    assert await total(database) == 18
    assert str(spoiled.id) in caplog.text


async def test_no_key_gets_into_the_tables_or_the_log(database, fresh_database_url, recorder_on, caplog):
    recorder = await recorder_on(fresh_database_url)
    recorder.record(log_row(path=f"/proxy/{CANARY}", query=f"k={CANARY}", user_agent=f"curl {CANARY}"))
    recorder.record(log_row(path=f"/proxy/{CANARY}", outcome="bad"))
    await until(lambda: recorder.status().written + recorder.status().rejected == 2)
    everything = await database.fetchval("select string_agg(r::text, '') from request_log r")
    assert "pe_live_***" in everything
    assert CANARY.rpartition("_")[2] not in everything + caplog.text


async def test_stopping_stores_what_waits(database, fresh_database_url, recorder_on):
    recorder = await recorder_on(fresh_database_url, flush_ms=60_000)
    recorder.record(log_row())
    await until(lambda: recorder.status().written == 1)
    for _ in range(500):
        recorder.record(log_row())
    await recorder.stop(drain=10)
    assert await database.fetchval("select count(*) from request_log") == 501
    assert recorder.status().dropped == 0
