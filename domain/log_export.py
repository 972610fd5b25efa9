"""Request logs as a file: batch after batch in the order of the list, each a statement of its own.

Nothing is held between two batches, no connection, no snapshot and no cursor of the database: a reader may be as slow as
it likes, and PostgreSQL's vacuum goes on. Rows that are stored meanwhile are newer than where the export began.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain import audit
from domain.access import Access, Permission
from domain.credit_amounts import credits_text
from domain.csv_texts import csv_lines
from domain.databases import Pool
from domain.faults import TooManyTries
from domain.log_reading import LogEntry
from domain.log_search import LogSearch
from domain.log_store.store import LogStore

FORMATS = ("csv", "jsonl")
ROWS_AT_ONCE = 1_000
EXPORTS_OF_ONE, EXPORTS_OF_ALL = 2, 8
"""Exports of one organization or person, and of a process, that run at once."""

COLUMNS = (
    "request_id", "at", "key", "key_id", "service", "operation", "method", "path", "query", "status", "outcome", "refusal",
    "limit", "upstream_ms", "total_ms", "bytes_in", "bytes_out", "client", "user_agent", "credits", "trace_id",
)  # fmt: skip
_RETRY_SECONDS = 10


class ExportRoom:
    """How many exports a process runs."""

    def __init__(self) -> None:
        self._running: Counter[UUID | int] = Counter()
        self._all = 0

    @contextmanager
    def place(self, organization_id: UUID, user_id: int) -> Iterator[None]:
        """A place for one export of a person in one of their organizations. Raises TooManyTries without any."""
        for whose, name in ((organization_id, "of this organization"), (user_id, "of yours")):
            if self._running[whose] >= EXPORTS_OF_ONE:
                raise TooManyTries(
                    f"{EXPORTS_OF_ONE} exports {name} are running. Wait until one has ended.",
                    retry_after_seconds=_RETRY_SECONDS,
                )
        if self._all >= EXPORTS_OF_ALL:
            raise TooManyTries("Too many exports are running. Try again soon.", retry_after_seconds=_RETRY_SECONDS)
        place: Counter[UUID | int] = Counter([organization_id, user_id])
        self._running += place
        self._all += 1
        try:
            yield
        finally:
            self._running -= place  # drops what is zero
            self._all -= 1


async def note_export(
    connection: Any, access: Access, actor: audit.Actor, file_format: str, filters: dict[str, str]
) -> None:
    """Write into the audit who takes which logs. Raises Forbidden."""
    access.require(Permission.VIEW)
    await audit.record(
        connection,
        actor,
        audit.Verb.LOGS_EXPORT,
        audit.Thing("organization", str(access.organization_id), access.name),
        organization_id=access.organization_id,
        after={"format": file_format, "filters": filters},
    )


async def export_batches(
    database: Pool, organization_id: UUID, wanted: LogSearch, logs: LogStore
) -> AsyncIterator[list[LogEntry]]:
    """Every matching row, newest first, in batches that may be empty. Raises TimeoutError, or what the database raises."""
    after = None
    while True:
        async with database.acquire() as connection:
            found = await logs.take_batch(connection, organization_id, wanted, after=after, limit=ROWS_AT_ONCE)
        yield found.entries
        after = found.following
        if after is None:
            return


def head_of(file_format: str) -> bytes:
    """What a file begins with: the names of the columns, or nothing."""
    return (",".join(COLUMNS) + "\r\n").encode() if file_format == "csv" else b""


def lines_of(file_format: str, entries: Iterable[LogEntry]) -> bytes:
    """Rows as RFC 4180 or as JSON Lines, in UTF-8."""
    rows = [_values(entry) for entry in entries]
    if file_format == "jsonl":
        texts = [json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) + "\n" for row in rows]
        return "".join(texts).encode("utf-8", "replace")
    return csv_lines(rows)


def file_name(slug: str, file_format: str, now: datetime) -> str:
    """What the file is called: letters, digits, dashes and one dot."""
    return f"request-logs-{slug}-{now.astimezone(UTC):%Y%m%d-%H%M%S}.{file_format}"


def _values(entry: LogEntry) -> tuple[Any, ...]:
    upstream = None if entry.upstream_us is None else entry.upstream_us / 1_000
    return (
        str(entry.id), entry.at.isoformat(timespec="microseconds"), entry.key, str(entry.key_id) if entry.key_id else None,
        entry.service, entry.operation, entry.method, entry.path, entry.query, entry.status, entry.outcome, entry.refusal,
        entry.limit_name, upstream, entry.total_us / 1_000, entry.bytes_in, entry.bytes_out, entry.client,
        entry.user_agent, credits_text(entry.cost_micro), entry.trace_id,
    )  # fmt: skip
