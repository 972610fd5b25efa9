"""Makes the request log's tables ahead, and drops those that are old enough; with a log store, moves old rollups there."""

from datetime import UTC, datetime
from typing import Any

from domain.log_dropping import Dropping, drop_expired, span
from domain.log_store.leaving import expire, leave_postgres
from domain.log_store.outbox import standing
from domain.log_store.rollup_moving import expire_hours, move_rollups
from domain.log_store.store import open_store
from domain.partitions import AHEAD, ensure_partitions
from domain.settings import LogSettings
from jobs.work import Result, Work


async def run(work: Work) -> Result:
    """Days made, dropped, and kept although they are old, with the reason; with a log store, of PostgreSQL and of that."""
    now = work.now
    async with work.database.acquire() as connection:
        made = await ensure_partitions(connection, *span(now.astimezone(UTC).date(), AHEAD))
        if url := work.settings.logs.store_url.get_secret_value():
            return {"made": len(made), **await _with_log_store(connection, now, work.settings.logs, url)}
        done = await drop_expired(connection, now, work.settings.logs.retention_days)
    return {"made": len(made), **_told(done)}


async def _with_log_store(connection: Any, now: datetime, settings: LogSettings, url: str) -> Result:
    async with open_store(url) as store:
        days = min(settings.store_postgres_days, settings.retention_days)
        left = await leave_postgres(connection, store, now, days)
        gone = await expire(connection, store, now, settings.retention_days)
        moved = 0
        if await standing(connection) is not None:
            moved = await move_rollups(connection, store, now, settings.store_rollup_days)
        months = await expire_hours(store, now)
    return {**_told(left), "log_store": _told(gone), "rollups_moved": moved, "hours_dropped": months}


def _told(done: Dropping) -> Result:
    return {
        "dropped": [day.isoformat() for day in done.dropped],
        "kept": {day.isoformat(): reason for day, reason in done.kept.items()},
    }
