"""Entries of the audit for tests, and databases that have a sealed history."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


async def write(connection: Any, count: int = 1, *, at: datetime | None = None, **fields: Any) -> list[UUID]:
    """So many entries, each its own; their ids in the order in which they were written."""
    made = {"actor_kind": "user", "actor_id": 7, "actor_name": "ann@example.com", "verb": "key.create", **fields}
    columns, values = ", ".join(made), ", ".join(f"${number}" for number in range(3, len(made) + 3))
    rows = await connection.fetch(
        f"insert into audit_entry (created_at, object_type, object_id, object_name, after, {columns})"
        f" select coalesce($1, now()), 'api_key', n::text, 'key ' || n, jsonb_build_object('n', n), {values}"
        " from generate_series(1, $2::int) n returning id",
        at,
        count,
        *made.values(),
    )
    return [row["id"] for row in rows]


async def three_days(connection: Any, seal: Any) -> None:
    """Sixty entries, twenty for each of three days that are over, in two seals a day."""
    for days in (3, 2, 1):
        for hour in (8, 16):
            await write(connection, 10, at=TODAY - timedelta(days=days) + timedelta(hours=hour))
            await seal(connection, most=100)


async def links(connection: Any) -> list[tuple[int, UUID, bytes]]:
    """The chain as it stands."""
    rows = await connection.fetch("select position, entry_id, hash from audit_link order by position")
    return [tuple(row) for row in rows]
