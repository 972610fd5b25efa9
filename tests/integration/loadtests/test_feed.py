"""A journal that the load writes by hand is one that the ingester stores, and its probes say when they were written."""

import asyncio
import time

import asyncpg

from domain.ingesting.ingester import Ingester
from domain.settings import DatabaseSettings
from loadtests.ingest.feed import PROBES, run, written_at
from loadtests.ingest.watch import STORED, Watch, background, follow, until


async def test_rows_fed_are_stored_and_probes_are_seen(fresh_database_url, tmp_path):
    folder, watch = tmp_path / "journal", Watch()
    folder.mkdir()
    ingester = Ingester(folder, DatabaseSettings(url=fresh_database_url))
    storing = asyncio.create_task(ingester.run())
    before = time.monotonic()
    async with background(follow(fresh_database_url, PROBES, watch, written_at)):
        fed = await run(folder, rows=1_000, rate=0, keys=50)
        assert await until(lambda: bool(watch.lags), 20)
    ingester.drain(10)
    await storing
    assert before <= fed.began_ns / 1e9 <= fed.ended_ns / 1e9
    assert 0 < watch.worst < 30
    connection = await asyncpg.connect(fresh_database_url)
    try:
        counts = "select count(*), count(distinct key_id) from request_log where organization_id <> $1"
        assert tuple(await connection.fetchrow(counts, PROBES)) == (fed.rows, 50)
        assert await connection.fetchval(STORED) >= 0
    finally:
        await connection.close()
