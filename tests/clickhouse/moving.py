"""Rows of tests brought into the log store, the way that days go: sent, compared, and dropped by PostgreSQL."""

from datetime import UTC, datetime, timedelta
from typing import Any

from domain.log_store.clickhouse import ClickHouse
from domain.log_store.leaving import leave_postgres
from domain.log_store.outbox import adopt
from domain.log_store.shipping import send_next
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
