"""Rows of request_log for tests of what reads them."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.partitions import ensure_partitions
from domain.request_ids import new_raw_id

DEFAULTS = {
    "method": "GET", "path": "/weather/v1/items/1", "query": "", "status": 200, "outcome": "served", "refusal": None,
    "limit_name": None, "upstream_us": 8_000, "total_us": 9_500, "bytes_in": 0, "bytes_out": 512, "client": "198.51.100.7",
    "user_agent": "curl/8.9.1", "cost_micro": 1_000, "trace_id": None, "key_id": None, "service_id": None,
    "operation_id": None, "decision": None,
}  # fmt: skip


def id_at(moment: datetime) -> UUID:
    """A request id that was made then."""
    milliseconds = int(moment.timestamp() * 1_000)
    return UUID(bytes=milliseconds.to_bytes(6, "big") + new_raw_id()[6:])


async def write_request(connection, organization_id: UUID | None, *, ago: timedelta = timedelta(), **columns) -> UUID:
    """One row that ended `ago`; its id."""
    at = datetime.now(UTC) - ago
    await ensure_partitions(connection, at.date(), at.date())
    values = {**DEFAULTS, **columns, "id": id_at(at), "at": at, "organization_id": organization_id}
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    await connection.execute(f"insert into request_log ({', '.join(values)}) values ({places})", *values.values())
    return values["id"]
