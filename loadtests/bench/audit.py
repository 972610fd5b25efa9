"""Answered means recorded: the log's rows against the answers that the load generator counted (G3)."""

import asyncio
import time
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from loadtests.raw_client import Address, exactly

ROWS = """
select count(*) as rows, count(*) filter (where status <> 200) as not_200, count(distinct id) as ids
from request_log where $1::uuid is null or organization_id = $1
"""


@dataclass(frozen=True, slots=True)
class Audit:
    """Rows found for `answers`. wrk leaves up to one request per connection unread when its time is over: `unread`."""

    answers: int
    unread: int
    rows: int
    not_200: int
    duplicates: int
    seconds: float

    @property
    def missing(self) -> int:
        """Answers without a row; must be 0."""
        return max(0, self.answers - self.rows)

    @property
    def sound(self) -> bool:
        """No row missing, none twice, none for a request that nobody made."""
        return not (self.missing or self.duplicates) and self.rows <= self.answers + self.unread

    @property
    def words(self) -> str:
        """For a fault."""
        return f"{self.missing} rows missing, {self.duplicates} twice, {self.rows} in all"


async def audit(
    database_url: str, organization: UUID | None, answers: int, unread: int, seconds: float = 30.0
) -> Audit:
    """Wait until all rows are there and no more come, for `seconds` at the most, then say what is there.

    Rows of one organization, or (None) all.
    """
    began = time.monotonic()
    connection = await asyncpg.connect(database_url)
    try:
        before, found = -1, await _rows(connection, organization)
        while (found["rows"] != before or found["rows"] < answers) and time.monotonic() - began < seconds:
            before = found["rows"]
            await asyncio.sleep(1.0)
            found = await _rows(connection, organization)
    finally:
        await connection.close()
    waited = time.monotonic() - began
    return Audit(answers, unread, found["rows"], found["not_200"], found["rows"] - found["ids"], waited)


async def _rows(connection: asyncpg.Connection, organization: UUID | None) -> asyncpg.Record:
    (row,) = await connection.fetch(ROWS, organization)
    return row


async def exact_audit(database_url: str, organization: UUID, url: str, path: str, key: str, count: int) -> Audit:
    """`count` requests whose every answer is read, on 64 connections: as many rows, not one more."""
    statuses = await exactly(Address.of(url), key, path, count, 64)
    return await audit(database_url, organization, sum(statuses.values()), 0)
