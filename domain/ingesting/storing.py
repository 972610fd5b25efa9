"""Stores one batch: positions, request log, the note that the rollups lack it, and its charges, in one transaction.

The positions move first. So a transaction of ours whose COMMIT got no answer and that may still be ending is waited for
on the rows of the positions, and is then recognised by them, before any row could meet its own copy.
"""

import logging
import struct
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import asyncpg

from domain.ingesting.batches import Batch, Place, at_us
from domain.ingesting.charges import charge
from domain.ingesting.copying import COLUMNS, COPY_HEAD, COPY_TAIL, encoded
from domain.ingesting.positions import LOG, move
from domain.partitions import ensure_partitions

log = logging.getLogger(__name__)

_ROWS_PER_PIECE = 500
_TRIES = 5
_DAYS_AT_ONCE = 8
_CLASSES_OF_BAD_DATA = ("22", "23")
_UNENCODABLE = (ValueError, struct.error, OverflowError)
_HOMELESS = asyncpg.CheckViolationError.__name__
# Also for the log store, where logs go to one beside PostgreSQL: the database says whether, not each node's environment.
_NOTE = """
with noted as (insert into usage_unfolded (owner, first_at) values ($1, $2) returning stored_at),
     to_send as (insert into log_outbox (stored_at, first_at, last_at, rows)
                 select stored_at, $2, $3, $4 from noted where exists (select from log_store))
select stored_at from noted
"""
_NOTES = {"usage_unfolded", "log_outbox"}


class BatchRefused(Exception):  # noqa: N818  it is the batch's fault, not ours
    """PostgreSQL will never take this batch: some row of it holds what its column cannot."""


async def store(connection: asyncpg.Connection, batch: Batch, owner: UUID) -> datetime | None:
    """Store the batch; the `stored_at` (request_log.created_at) of its rows, None if it has none.

    Raises BatchRefused with nothing stored and the connection usable. After any other exception it is unknown whether
    the batch is stored: read the positions on a new connection.
    """
    for _ in range(_TRIES):
        try:
            return await _in_transaction(connection, batch, owner)
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError) as fault:
            last: Exception = fault
        except asyncpg.CheckViolationError as fault:
            last = fault
            if not await _make_partitions(connection, batch.records):
                raise BatchRefused(str(fault)) from fault
        except asyncpg.UniqueViolationError as fault:
            if fault.table_name not in _NOTES:
                raise BatchRefused(str(fault)) from fault
            last = fault  # another node began a transaction in the same microsecond
        except asyncpg.PostgresError as fault:
            if (fault.sqlstate or "")[:2] in _CLASSES_OF_BAD_DATA:
                raise BatchRefused(str(fault)) from fault
            raise
        except _UNENCODABLE as fault:
            raise BatchRefused(str(fault)) from fault
    raise last


async def find_bad(connection: asyncpg.Connection, batch: Batch) -> dict[Place, str]:
    """The records that PostgreSQL refuses, each with its reason; of two that exclude each other, the later. Nothing is stored."""
    bad = await _probe(connection, batch)
    homeless = [
        record for record, place in zip(batch.records, batch.places, strict=True) if bad.get(place) == _HOMELESS
    ]
    if homeless and await _make_partitions(connection, homeless):
        bad = await _probe(connection, batch)
    return bad


async def _in_transaction(connection: asyncpg.Connection, batch: Batch, owner: UUID) -> datetime | None:
    stored_at = None
    await connection.execute("begin")
    try:
        await move(connection, LOG, batch.moves)
        if batch.records:
            await _copy(connection, batch.records)
            times = [at_us(record) for record in batch.records]
            stored_at = await connection.fetchval(_NOTE, owner, _moment(min(times)), _moment(max(times)), len(times))
        await charge(connection, batch, stored_at)
    except (asyncpg.PostgresError, *_UNENCODABLE):
        await connection.execute("rollback")
        raise
    await connection.execute("commit")
    return stored_at


async def _copy(connection: Any, records: Sequence[bytes]) -> None:
    await connection.copy_to_table("request_log", source=_copied(records), columns=COLUMNS, format="binary")


async def _copied(records: Sequence[bytes]) -> AsyncIterator[bytes]:
    yield COPY_HEAD
    for first in range(0, len(records), _ROWS_PER_PIECE):
        # In pieces, so that PostgreSQL stores one while the next is made.
        yield b"".join(map(encoded, records[first : first + _ROWS_PER_PIECE]))
    yield COPY_TAIL


async def _probe(connection: asyncpg.Connection, batch: Batch) -> dict[Place, str]:
    """Halve what is refused until the records that spoil it are alone, in a transaction that is rolled back."""
    bad: dict[Place, str] = {}
    pieces = [(0, len(batch.records))]
    await connection.execute("begin")
    try:
        while pieces:
            first, end = pieces.pop()
            reason = await _refused(connection, batch.records[first:end])
            middle = (first + end) // 2
            if reason is None:
                continue
            if end - first == 1:
                bad[batch.places[first]] = reason
            else:
                # The last is taken first: what stands in front stays, and what follows is tried beside it.
                pieces += [(middle, end), (first, middle)]
    finally:
        await connection.execute("rollback")
    return bad


async def _refused(connection: asyncpg.Connection, records: Sequence[bytes]) -> str | None:
    """Why these records cannot be stored beside those that were; None, and then they are, if they can."""
    await connection.execute("savepoint piece")
    try:
        await _copy(connection, records)
    except asyncpg.PostgresError as fault:
        if (fault.sqlstate or "")[:2] not in _CLASSES_OF_BAD_DATA:
            raise
        reason = type(fault).__name__
    except _UNENCODABLE as fault:
        reason = type(fault).__name__
    else:
        return None
    await connection.execute("rollback to savepoint piece")
    return reason


async def _make_partitions(connection: asyncpg.Connection, records: Sequence[bytes]) -> bool:
    try:
        days = sorted({_day_of(record) for record in records})
    except (ValueError, OverflowError, OSError):
        return False
    if len(days) > _DAYS_AT_ONCE:
        return False
    made = [name for day in days for name in await ensure_partitions(connection, day, day)]
    if made:
        log.warning("request log partitions were missing and are made now: %s", ", ".join(made))
    return bool(made)


def _day_of(record: bytes) -> date:
    return _moment(at_us(record)).date()


def _moment(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)
