"""Rows of tests brought into the log store, the way that days go: sent, compared, and dropped by PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from starlette.applications import Starlette

from domain.log_store.clickhouse import ClickHouse
from domain.log_store.clickhouse_logs import ClickHouseLogs
from domain.log_store.leaving import leave_postgres
from domain.log_store.outbox import adopt
from domain.log_store.shipping import send_next
from domain.log_store.store import open_store
from domain.log_store.turning import turn_on
from domain.partitions import ensure_partitions, present_days, today


async def send_all(connection: Any, store: ClickHouse) -> int:
    """Send whatever waits; how many rows that were."""
    sent = 0
    while rows := await send_next(connection, store):
        sent += rows
    return sent


async def move_all(connection: Any, store: ClickHouse) -> int:
    """Every row that PostgreSQL has goes to the log store and leaves PostgreSQL; how many were sent.

    Rows that a test wrote itself are no batches of an ingester, so they are adopted first. All days count as old.
    """
    await adopt(connection, store)
    sent = await send_all(connection, store)
    days = await present_days(connection)
    done = await leave_postgres(connection, store, datetime.now(UTC) + timedelta(days=400), 1)
    assert done.dropped == days, done.kept
    await ensure_partitions(connection, today() - timedelta(days=1), today() + timedelta(days=1))
    return sent


class MovedLogs(ClickHouseLogs):
    """The log store as pages read it, for tests that write rows into PostgreSQL themselves: before it is asked, every row
    is sent, and PostgreSQL has none any more. So whatever a page shows came out of ClickHouse.
    """

    def __init__(self, store: ClickHouse, dsn: str) -> None:
        super().__init__(store)
        self._dsn, self._moving, self.moved = dsn, asyncio.Lock(), 0

    async def move(self) -> None:
        """Bring all rows over. Rows are deleted, not their tables: the page that asks may hold these."""
        async with self._moving:
            connection = await asyncpg.connect(self._dsn)
            try:
                await adopt(connection, self.store)
                self.moved += await send_all(connection, self.store)
                await connection.execute("delete from request_log")
            finally:
                await connection.close()

    async def search(self, connection, organization_id, wanted, *, after=None, limit=50):
        await self.move()
        return await super().search(connection, organization_id, wanted, after=after, limit=limit)

    async def take_batch(self, connection, organization_id, wanted, *, after, limit):
        await self.move()
        return await super().take_batch(connection, organization_id, wanted, after=after, limit=limit)

    async def find(self, connection, organization_id, request_id):
        await self.move()
        return await super().find(connection, organization_id, request_id)

    async def has_any(self, connection, organization_id):
        await self.move()
        return await super().has_any(connection, organization_id)

    async def newest(self, connection, wanted, limit):
        await self.move()
        return await super().newest(connection, wanted, limit)

    async def charged(self, connection, organization_id, stored_at, between, limit):
        await self.move()
        return await super().charged(connection, organization_id, stored_at, between, limit)

    async def charged_in(self, connection, request_id):
        await self.move()
        return await super().charged_in(connection, request_id)

    async def decision(self, connection, entry):
        await self.move()
        return await super().decision(connection, entry)


@asynccontextmanager
async def moved_logs(app: Starlette, dsn: str, url: str) -> AsyncIterator[MovedLogs]:
    """An application that runs reads its request logs out of this log store from now on."""
    async with open_store(url) as store:
        await turn_on(dsn, store)
        logs = MovedLogs(store, dsn)
        app.state.services = replace(app.state.services, logs=logs)
        yield logs
