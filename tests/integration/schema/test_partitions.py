"""Daily partitions: made once, by however many try; never in the way of writers."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from domain.partitions import ensure_partitions, partition_name

FIRST = date(2031, 2, 27)
INSERT = (
    "insert into request_log (id, at, method, path, status, outcome, total_us, bytes_in, bytes_out)"
    " values ($1, $2, 'GET', '/', 200, 'served', 1, 0, 0)"
)


async def test_missing_days_are_made_once_and_hold_their_utc_day(pool):
    last = FIRST + timedelta(days=3)
    results = await asyncio.gather(*(_ensure(pool, FIRST, last) for _ in range(4)))
    made = [name for names in results for name in names]
    assert sorted(made) == [
        "request_log_20310227",
        "request_log_20310228",
        "request_log_20310301",
        "request_log_20310302",
    ]
    assert await _ensure(pool, FIRST, last) == []
    midnight = datetime(2031, 2, 28, tzinfo=UTC)
    async with pool.acquire() as connection:
        await connection.execute("set timezone to 'Asia/Tokyo'")
        await connection.execute(INSERT, uuid4(), midnight)
        await connection.execute(INSERT, uuid4(), midnight - timedelta(microseconds=1))
        await connection.execute("reset timezone")
        assert await connection.fetchval(f"select count(*) from {partition_name(FIRST)}") == 1
        assert await connection.fetchval(f"select count(*) from {partition_name(midnight.date())}") == 1
        indexes = await connection.fetch("select indexname from pg_indexes where tablename = $1", partition_name(FIRST))
        assert len(indexes) == 5


async def test_making_a_partition_does_not_wait_for_a_writer(pool):
    day = date(2032, 1, 1)
    await _ensure(pool, day, day)
    async with pool.acquire() as writer, writer.transaction():
        await writer.execute(INSERT, uuid4(), datetime(2032, 1, 1, 12, tzinfo=UTC))
        made = await asyncio.wait_for(_ensure(pool, day, day + timedelta(days=1)), 5)
    assert made == ["request_log_20320102"]


async def test_there_is_no_default_partition(pool):
    async with pool.acquire() as connection:
        with pytest.raises(asyncpg.CheckViolationError, match="no partition"):
            await connection.execute(INSERT, uuid4(), datetime(1999, 1, 1, tzinfo=UTC))


async def _ensure(pool, first, last):
    async with pool.acquire() as connection:
        return await ensure_partitions(connection, first, last)
