"""The shared fixtures give what they promise."""

import redis.asyncio


async def test_pool_reads(pool):
    assert await pool.fetchval("select 1") == 1


async def test_each_fresh_database_is_empty(fresh_database_url, database_url):
    assert fresh_database_url != database_url


async def test_redis_never_evicts(redis_url):
    async with redis.asyncio.from_url(redis_url) as client:
        assert await client.ping()
        assert (await client.config_get("maxmemory-policy"))["maxmemory-policy"] == "noeviction"
