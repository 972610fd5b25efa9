"""Folds tallies into usage_rollup and its summaries, less often than rows are stored, under a position of its own; and lets
old ones go.

While many keys are in use, one fold writes three rows for each key, so folding every batch would cost PostgreSQL five
times what storing the batch costs. Readers stay right in between: batches not folded yet stand in usage_unfolded, and
`domain.usage_reading` counts their rows in request_log itself.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import asyncpg

from domain.ingesting.organization_sums import add_to_organizations, mark_used
from domain.ingesting.positions import ROLLUP, Move, move
from domain.ingesting.refusals import RefusalRow, add_to_refusals
from domain.ingesting.rollup_writing import add_to_rollups, add_to_summaries
from domain.ingesting.summaries import summaries
from domain.ingesting.tallies import Key, Tallies, Tally

KEPT = {"minute": timedelta(hours=48), "hour": timedelta(days=90)}
"""How long rollups of a grain are kept; those of days stay."""
SUMMARIES_KEPT = {"minute": timedelta(hours=48), "hour": timedelta(days=92)}
"""Of summaries: 90 days of every time zone, of which one may have 25 hours. Those of days and weeks stay."""
ORGANIZATIONS_KEPT = {"day": timedelta(days=4), "week": timedelta(days=120)}
"""Of `organization_usage`: days for windows of up to a day, weeks for those of up to 90. Months stay."""
REFUSALS_KEPT = {"hour": timedelta(days=92), "day": timedelta(days=400)}

_DELETED_AT_ONCE = 5_000
_MOST_DELETES = 20
_FOLDED = "delete from usage_unfolded where owner = $1 and stored_at = any($2)"
_EXPIRED = """
delete from {table} where grain = $1 and ctid = any(array(
    select ctid from {table} where grain = $1 and bucket < now() - $2::interval
     order by bucket limit $3 for update skip locked))
"""


async def fold(
    connection: asyncpg.Connection, tallies: Tallies, moves: Sequence[Move], owner: UUID, batches: Sequence[datetime]
) -> int:
    """Add the tallies of everything up to `moves`; how many rollup rows changed. In doubt: read the positions."""
    sums = await asyncio.to_thread(_sums, tallies)
    async with connection.transaction():
        await move(connection, ROLLUP, moves)
        await _add(connection, sums)
        await connection.execute(_FOLDED, owner, batches)
    await mark_used(connection, sums.rollups)
    return len(sums.rollups)


async def merge(connection: asyncpg.Connection, tallies: Tallies) -> None:
    """Add tallies in the caller's transaction, and move nothing. The connection has run STAGE."""
    sums = _sums(tallies)
    await _add(connection, sums)
    await mark_used(connection, sums.rollups)


async def add(connection: asyncpg.Connection, rows: Sequence[tuple[Key, Tally]]) -> None:
    """Add rollups of all grains, sorted, in the caller's transaction, with their summaries. The connection has run STAGE."""
    await _add(connection, _Sums(rows, summaries(rows), ()))


class _Sums(NamedTuple):
    rollups: Sequence[tuple[Key, Tally]]
    summaries: Sequence[tuple[Key, Tally]]
    refusals: Sequence[tuple[RefusalRow, int]]


def _sums(tallies: Tallies) -> _Sums:
    rows = tallies.rows()
    return _Sums(rows, summaries(rows), tallies.refusals.rows())


async def _add(connection: asyncpg.Connection, sums: _Sums) -> None:
    if sums.rollups:
        await add_to_rollups(connection, sums.rollups)
    if sums.summaries:
        # Those of all organizations come last: every ingester writes them, and waits for who does.
        await add_to_organizations(connection, sums.rollups, sums.summaries)
        await add_to_refusals(connection, sums.refusals)
        await add_to_summaries(connection, sums.summaries)


async def delete_expired(connection: asyncpg.Connection) -> int:
    """Delete rollups and summaries that are old enough, in small steps, at most 100,000 of a grain; how many went."""
    deleted = 0
    for table, grains in (
        ("usage_rollup", KEPT),
        ("usage_summary", SUMMARIES_KEPT),
        ("organization_usage", ORGANIZATIONS_KEPT),
        ("refusal_summary", REFUSALS_KEPT),
    ):
        for grain, kept in grains.items():
            deleted += await _delete(connection, table, grain, kept)
    return deleted


async def _delete(connection: asyncpg.Connection, table: str, grain: str, kept: timedelta) -> int:
    deleted = 0
    for _ in range(_MOST_DELETES):
        done = await connection.execute(_EXPIRED.format(table=table), grain, kept, _DELETED_AT_ONCE)
        step = int(done.rpartition(" ")[2])
        deleted += step
        if step < _DELETED_AT_ONCE:
            break
    return deleted
