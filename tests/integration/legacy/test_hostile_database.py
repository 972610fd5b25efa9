"""An older database that is hostile, or only slow: it takes neither our memory nor our patience, and is called by its name."""

import asyncio
import tracemalloc

import asyncpg
import pytest

from domain.legacy import old_database
from domain.legacy.old_database import LegacyUnreachable
from tests.integration.legacy.conftest import New
from tests.legacy import Old

MEGABYTE = 1_000_000


async def test_texts_of_megabytes_are_read_by_their_beginnings(new: New, lax: Old):
    await lax.connection.execute(
        "insert into plans (plan_id, name, hourly_limit) values ('gold', 'Gold', 10);"
        "insert into clients (client_id, name, email, status, created_at)"
        " select gen_random_uuid(), repeat('x', 2000000), 'c' || n || '@example.com', 'active', '2020-01-01'"
        " from generate_series(1, 60) as n;"
        "insert into api_keys (key_id, client_id, plan_id, key_hash, key_prefix, status)"
        " select gen_random_uuid(), client_id, 'gold', encode(sha256(email::bytea), 'hex'), repeat('p', 2000000), 'active'"
        " from clients"
    )
    tracemalloc.start()
    try:
        run = await new.take(lax)
        assert tracemalloc.get_traced_memory()[1] < 40 * MEGABYTE
    finally:
        tracemalloc.stop()
    assert (run.count("clients", "imported"), run.count("api_keys", "imported")) == (60, 60)
    assert await new.connection.fetchval("select max(length(name)) from organization") == 120
    again = await new.take(lax)
    assert (again.count("clients", "already there"), again.count("api_keys", "already there")) == (60, 60)


async def test_a_table_that_somebody_holds_is_not_waited_for_without_end(new: New, lax: Old, monkeypatch):
    monkeypatch.setattr(old_database, "LOCK_SECONDS", 1)
    holder = await asyncpg.connect(lax.url)
    try:
        async with asyncio.timeout(20), holder.transaction():
            await holder.execute("lock table api_keys in access exclusive mode")
            with pytest.raises(LegacyUnreachable, match="lock timeout"):
                await new.take(lax, dry_run=True)
    finally:
        await holder.close()
