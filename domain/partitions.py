"""The daily partitions of `request_log`. A day is a UTC day."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

PARTITION_LOCK = 7_236_118_002
"""Advisory lock (transaction scope) under which partitions are made, so that several may try at once."""

AHEAD = 7
"""Days after today for which `migrate` makes partitions."""


def partition_name(day: date) -> str:
    """The table that holds the logs of `day`."""
    return f"request_log_{day:%Y%m%d}"


def today() -> date:
    """The current UTC day."""
    return datetime.now(UTC).date()


async def ensure_partitions(connection: Any, first: date, last: date) -> list[str]:
    """Make the missing partitions from `first` to `last` (both included); the names of those made, oldest first.

    `connection` is an asyncpg connection, in a transaction or not.
    """
    days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    if not await _missing(connection, days):
        return []
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", PARTITION_LOCK)
        missing = await _missing(connection, days)
        for day in missing:
            await _create(connection, day)
    return [partition_name(day) for day in missing]


async def present_days(connection: Any) -> list[date]:
    """The days that have a partition, oldest first."""
    rows = await connection.fetch(
        "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
        " where i.inhparent = 'request_log'::regclass and c.relname ~ '^request_log_[0-9]{8}$'"
    )
    return sorted(date.fromisoformat(row["relname"].removeprefix("request_log_")) for row in rows)


async def _missing(connection: Any, days: list[date]) -> list[date]:
    present = set(await present_days(connection))
    return [day for day in days if day not in present]


async def _create(connection: Any, day: date) -> None:
    # `create table .. partition of` would lock out everybody who writes logs; attaching an empty table does not.
    name, end = partition_name(day), day + timedelta(days=1)
    await connection.execute(
        f"create table {name} (like request_log including all);"
        f"alter table request_log attach partition {name}"
        f" for values from ('{day.isoformat()} 00:00:00+00') to ('{end.isoformat()} 00:00:00+00')"
    )
