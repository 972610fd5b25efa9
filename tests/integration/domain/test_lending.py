"""A read ends in time, whatever the database does."""

import asyncio
import time

import asyncpg
import pytest

from domain.catalog.lending import READ_FAULTS, deadline, lent


async def test_a_connection_is_dropped_when_its_time_is_up(database_url):
    connection = await asyncpg.connect(database_url)
    with pytest.raises(READ_FAULTS), deadline(connection, 0.05):
        await connection.fetchval("select pg_sleep(60)")
    assert connection.is_closed()


async def test_a_process_that_stood_still_reads_before_it_drops(database_url):
    connection = await asyncpg.connect(database_url)
    with deadline(connection, 0.05):
        reading = asyncio.ensure_future(connection.fetchval("select 1"))
        await asyncio.sleep(0)
        time.sleep(0.1)
        assert await reading == 1
    await connection.close()


async def test_a_pool_goes_on_after_a_read_that_took_too_long(database_url):
    async with asyncpg.create_pool(database_url, min_size=0, max_size=1) as pool:
        with pytest.raises(READ_FAULTS):
            async with lent(pool, 0.1) as connection:
                await connection.fetchval("select pg_sleep(60)")
        async with lent(pool, 2.0) as connection:
            with pytest.raises(READ_FAULTS):
                async with lent(pool, 0.05):
                    pass
            assert await connection.fetchval("select 1") == 1
