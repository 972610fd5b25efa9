"""Stores one batch of request log rows and their rollups in one transaction, exactly once.

A batch is all there or not at all, and its rows have primary keys: so whether a batch whose COMMIT got no answer was
stored is decided by looking for its first row, and storing it twice is impossible.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import UTC
from typing import Any

import asyncpg

from domain.partitions import ensure_partitions
from domain.request_log import COLUMNS, LogRow, as_record
from domain.rollups import Fold, add_to_rollups

log = logging.getLogger(__name__)

_TRIES_AT_ONCE = 5
_DAYS_AT_ONCE = 8
_ROWS_PER_TURN = 100
_CLASSES_OF_BAD_DATA = ("22", "23")
_UNENCODABLE = (TypeError, ValueError, OverflowError)
_ROLLED_BACK = (asyncpg.PostgresError, *_UNENCODABLE)


class BatchRefused(Exception):  # noqa: N818  it is the batch's fault, not ours
    """PostgreSQL will never take this batch: some row of it holds what its column cannot."""


class CommitUncertain(Exception):  # noqa: N818
    """The connection was lost while the transaction was being committed."""


async def store(connection: asyncpg.Connection, rows: Sequence[LogRow]) -> None:
    """Store the batch. Raises BatchRefused, CommitUncertain, or what asyncpg raises; then nothing is stored, but for
    CommitUncertain, where `is_stored` on a fresh connection tells.
    """
    for _ in range(_TRIES_AT_ONCE):
        try:
            return await _store(connection, rows)
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError) as fault:
            last: Exception = fault
        except asyncpg.CheckViolationError as fault:
            last = fault
            if not await _make_partitions(connection, rows):
                raise BatchRefused(str(fault)) from fault
        except asyncpg.PostgresError as fault:
            if (fault.sqlstate or "")[:2] in _CLASSES_OF_BAD_DATA:
                raise BatchRefused(str(fault)) from fault
            raise
        except _UNENCODABLE as fault:
            raise BatchRefused(str(fault)) from fault
    raise last


async def is_stored(connection: asyncpg.Connection, rows: Sequence[LogRow]) -> bool:
    """Whether a batch is there, told by its first row."""
    query = "select exists (select from request_log where id = $1 and at = $2)"
    return bool(await connection.fetchval(query, rows[0].id, rows[0].at))


async def _store(connection: asyncpg.Connection, rows: Sequence[LogRow]) -> None:
    await connection.execute("begin")
    try:
        fold = Fold()
        await connection.copy_records_to_table("request_log", records=_records(rows, fold), columns=COLUMNS)
        await add_to_rollups(connection, fold.rows())
    except _ROLLED_BACK:
        await connection.execute("rollback")
        raise
    try:
        await connection.execute("commit")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as fault:
        raise CommitUncertain(str(fault)) from fault


async def _records(rows: Sequence[LogRow], fold: Fold) -> AsyncIterator[tuple[Any, ...]]:
    for index, row in enumerate(rows):
        fold.count(row)
        yield as_record(row)
        if index % _ROWS_PER_TURN == 0:
            # A worker's requests share this event loop.
            await asyncio.sleep(0)


async def _make_partitions(connection: asyncpg.Connection, rows: Sequence[LogRow]) -> bool:
    days = sorted({row.at.astimezone(UTC).date() for row in rows})
    if len(days) > _DAYS_AT_ONCE:
        return False
    made = [name for day in days for name in await ensure_partitions(connection, day, day)]
    if made:
        log.warning("request log partitions were missing and are made now: %s", ", ".join(made))
    return bool(made)
