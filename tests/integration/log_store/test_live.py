"""The dashboard's live list: the newest requests, also those that only ClickHouse has."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg

from domain import keys, organizations
from domain.access import Access
from domain.analytics.live import NEWEST, read_live, read_older, with_older
from domain.log_store.address import parse_address
from domain.log_store.clickhouse import ClickHouse
from domain.log_store.clickhouse_logs import ClickHouseLogs
from domain.log_store.leaving import leave_postgres
from domain.log_store.outbox import adopt
from domain.log_store.store import POSTGRES
from domain.settings import KeySettings
from portal.live import LiveUsage
from tests.clickhouse.moving import send_all
from tests.gateways import PEPPERS
from tests.histories import plan_of
from tests.request_rows import write_request


async def newest(connection, organization_id: UUID, logs, now: datetime) -> list:
    live = await read_live(connection, organization_id, (), now)
    return list(with_older(live, await read_older(connection, organization_id, now, logs)).newest)


async def test_the_list_is_that_of_a_postgres_that_kept_its_days(database, turned_on, fresh_database_url, monkeypatch):
    monkeypatch.setenv("KEY_PEPPERS", PEPPERS)
    await plan_of(database, "starter", "10/hour")
    acme = await organizations.create(database, name="Acme", plan_slug="starter")
    made = await keys.create(database, KeySettings(), organization_id=acme.id, name="Production")
    for hours in (0, 1, 47, 60, 70, 80):
        await write_request(
            database, acme.id, ago=timedelta(hours=hours), key_id=made.record.id, status=200 + hours, path=f"/{hours}"
        )
    await write_request(database, uuid4(), ago=timedelta(hours=50))
    now, logs = datetime.now(UTC), ClickHouseLogs(turned_on)
    whole = await newest(database, acme.id, POSTGRES, now)
    assert [(call.path, call.key) for call in whole] == [(f"/{hours}", "Production") for hours in (0, 1, 47, 60, 70)]
    assert await newest(database, acme.id, logs, now) == whole
    await adopt(database, turned_on)
    await send_all(database, turned_on)
    assert (await leave_postgres(database, turned_on, now, 1)).dropped
    assert len(await newest(database, acme.id, POSTGRES, now)) < len(whole)
    assert await newest(database, acme.id, logs, now) == whole
    away = ClickHouse(parse_address("clickhouse://logs:x@127.0.0.1:1/logs"))
    assert await newest(database, acme.id, ClickHouseLogs(away), now) == await newest(database, acme.id, POSTGRES, now)
    await away.close()
    async with asyncpg.create_pool(fresh_database_url, min_size=1, max_size=2) as pool:
        session_id, access = uuid4(), Access(acme.id, "acme", "Acme", "active", 1, "owner")
        usage = LiveUsage(pool, 0.05, logs)
        async with usage.watching(access, session_id) as viewer, asyncio.timeout(20):
            # Nobody is signed in by that id, so the viewer is shown nothing: the feed's picture is looked at.
            assert await viewer.next() is None
            shown = await usage._feeds[acme.id].after(0)
        assert list(shown.newest) == whole
    for number in range(NEWEST):
        await write_request(database, acme.id, ago=timedelta(minutes=number), path="/new")
    now = datetime.now(UTC)
    assert {call.path for call in await newest(database, acme.id, logs, now)} == {"/new", "/0"}
