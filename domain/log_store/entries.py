"""Rows of ClickHouse as entries of the log, with the names that PostgreSQL has for what they refer to."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from domain.log_reading import LogEntry
from domain.log_store.clickhouse import moment_of
from domain.snapshots import NO_ID

COLUMNS = (
    "id, toUnixTimestamp64Micro(at), toString(organization_id), toString(key_id), toString(service_id),"
    " toString(operation_id), method, path, query, status, outcome, refusal, limit_name, upstream_us, total_us, bytes_in,"
    " bytes_out, client, user_agent, cost_micro, trace_id"
)
"""What `entries_of` reads."""

_NAMES = """
select id, slug as name from organization where id = any($1::uuid[])
union all select id, name from api_key where id = any($2::uuid[])
union all select id, slug from service where id = any($3::uuid[])
union all select id, name from operation where id = any($4::uuid[])
"""


async def entries_of(connection: Any, rows: Sequence[Sequence[Any]]) -> list[LogEntry]:
    """The entries in the order of their rows."""
    if not rows:
        return []
    kinds = [sorted({UUID(row[place]) for row in rows} - {NO_ID}) for place in range(2, 6)]
    found = {row["id"]: row["name"] for row in await connection.fetch(_NAMES, *kinds)}
    return [_entry(row, found) for row in rows]


def _entry(row: Sequence[Any], names: dict[UUID, str]) -> LogEntry:
    key_id = UUID(row[3])
    return LogEntry(
        id=UUID(row[0]),
        at=moment_of(row[1]),
        organization=names.get(UUID(row[2])),
        key=names.get(key_id),
        key_id=None if key_id == NO_ID else key_id,
        service=names.get(UUID(row[4])),
        operation=names.get(UUID(row[5])),
        method=row[6],
        path=row[7],
        query=row[8],
        status=row[9],
        outcome=row[10],
        refusal=row[11],
        limit_name=row[12],
        upstream_us=row[13],
        total_us=row[14],
        bytes_in=row[15],
        bytes_out=row[16],
        client=row[17],
        user_agent=row[18],
        cost_micro=row[19],
        trace_id=row[20],
    )
