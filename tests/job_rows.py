"""Rows of jobs as `domain.async_jobs` leaves them, for tests that read them."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from domain import keys, operations, services
from domain.request_ids import new_request_id

_INSERT = "insert into async_job ({}) values ({}) returning id"


async def asynchronous_operation(connection: Any, **fields: Any) -> operations.OperationRecord:
    """A new service with one asynchronous operation that costs 2 credits."""
    slug = f"later-{secrets.token_hex(4)}"
    await services.create(connection, slug=slug, prefix=f"/{slug}", upstreams=["http://127.0.0.1:9"], name="Later")
    return await operations.create(
        connection,
        **{
            "service_slug": slug, "method": "POST", "path_pattern": "/reports", "name": "render",
            "price_micro": 2_000_000, "asynchronous": True, **fields,
        },
    )  # fmt: skip


async def write_job(
    connection: Any, organization_id: UUID, operation: operations.OperationRecord, *, ago: float = 60, **columns: Any
) -> UUID:
    """A job that was accepted `ago` seconds before now; its id. What `status` asks for is filled in unless it is given.

    A dispatcher that runs beside the test leaves it alone: it is not due, and what it cost is counted.
    """
    at = datetime.now(UTC) - timedelta(seconds=ago)
    status = columns.get("status", "pending")
    over = {"ended_at": at + timedelta(seconds=ago / 2)} if status in ("completed", "failed") else {}
    of_status: dict[str, dict[str, Any]] = {
        "pending": {"due_at": datetime.now(UTC) + timedelta(days=1)},
        "processing": {"started_at": at, "working": True, "attempts": 1, "progress": 40, "message": "page 2 of 5"},
        "completed": {"started_at": at, "attempts": 1, "progress": 100, "charged_micro": 2_000_000},
        "failed": {"started_at": at, "attempts": 1, "reason": "upstream_failed", "error": "no paper"},
    }
    values = {
        "id": uuid4(), "created_at": at, "organization_id": organization_id,
        "service_id": await connection.fetchval("select id from service where slug = $1", operation.service_slug),
        "operation_id": operation.id, "request_id": UUID(str(new_request_id())), "status": status,
        "deadline": at + timedelta(hours=1), "price_micro": 2_000_000, "counted": True, "method": "POST", "target": "/reports",
        **over, **of_status[status], **columns,
    }  # fmt: skip
    if "key_id" not in values:
        values["key_id"] = uuid4()
    if values.get("result") is not None:
        values.setdefault("result_type", "application/json")
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    job_id: UUID = await connection.fetchval(_INSERT.format(", ".join(values), places), *values.values())
    return job_id


async def key_of(portal: Any, organization_id: UUID, name: str = "Production") -> UUID:
    """A new key of an organization; its id."""
    made = await keys.create(portal.pool, portal.settings.keys, organization_id=organization_id, name=name)
    return made.record.id
