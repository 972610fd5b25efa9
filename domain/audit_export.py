"""The audit as CSV, a part at a time; no cell of it is a formula (case A7)."""

import csv
import io
import json
from collections.abc import AsyncGenerator
from typing import Any

from domain.access import Access
from domain.audit_reading import AuditFilter, AuditRecord, stream_audit
from domain.databases import Pool

COLUMNS = (
    "time", "actor_kind", "actor", "actor_email", "verb", "what", "object_type", "object_id", "object_name", "before",
    "after", "reason", "address", "request_id",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


async def export_audit(pool: Pool, access: Access, which: AuditFilter) -> AsyncGenerator[bytes, None]:
    """The lines of the file in UTF-8. Raises Forbidden, InvalidValue before the first."""
    yield _lines([COLUMNS])
    async for records in stream_audit(pool, access, which):
        yield _lines([_row(record) for record in records])


def safe_cell(value: str) -> str:
    """The text, with an apostrophe before what a spreadsheet would calculate."""
    return f"'{value}" if value.lstrip(" ").startswith(_FORMULA) else value


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


def _lines(rows: list[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([safe_cell(value) for value in row] for row in rows)
    return text.getvalue().encode("utf-8", "replace")
