"""The audit as CSV, a part at a time; no cell of it is a formula (case A7)."""

import json
from collections.abc import AsyncGenerator
from typing import Any

from domain.access import Access
from domain.audit_reading import AuditFilter, AuditRecord, stream_audit
from domain.csv_texts import csv_lines
from domain.databases import Pool

COLUMNS = (
    "time", "actor_kind", "actor", "actor_email", "verb", "what", "object_type", "object_id", "object_name", "before",
    "after", "reason", "address", "request_id",
)  # fmt: skip


async def export_audit(pool: Pool, access: Access, which: AuditFilter) -> AsyncGenerator[bytes, None]:
    """The lines of the file in UTF-8. Raises Forbidden, InvalidValue before the first."""
    yield csv_lines([COLUMNS])
    async for records in stream_audit(pool, access, which):
        yield csv_lines([_row(record) for record in records])


def _row(record: AuditRecord) -> tuple[str, ...]:
    return (
        record.created_at.isoformat(),
        record.actor_kind,
        record.who,
        record.actor_email,
        record.verb,
        record.what,
        record.object_type,
        record.object_id,
        record.object_name,
        _json(record.before),
        _json(record.after),
        record.reason,
        record.address,
        record.request_id,
    )


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False) if values else ""
