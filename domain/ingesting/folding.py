"""Folds tallies into usage_rollup, less often than rows are stored, under a position of its own; and lets old rollups go.

While many keys are in use, one fold writes three rows for each key, so folding every batch would cost PostgreSQL five
times what storing the batch costs. Readers stay right in between: batches not folded yet stand in usage_unfolded, and
`domain.usage_reading` counts their rows in request_log itself.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from domain.ingesting.positions import ROLLUP, Move, move
from domain.ingesting.rollup_writing import add_to_rollups
from domain.ingesting.tallies import Tallies

KEPT = {"minute": timedelta(hours=48), "hour": timedelta(days=90)}
"""How long rollups of a grain are kept; those of days stay."""

_DELETED_AT_ONCE = 5_000
_MOST_DELETES = 20
_FOLDED = "delete from usage_unfolded where owner = $1 and stored_at = any($2)"
_EXPIRED = """
delete from usage_rollup where ctid = any(array(
    select ctid from usage_rollup where grain = $1 and bucket < now() - $2::interval
     order by bucket limit $3 for update skip locked))
"""


async def fold(
    connection: asyncpg.Connection, tallies: Tallies, moves: Sequence[Move], owner: UUID, batches: Sequence[datetime]
) -> int:
    """Add the tallies of everything up to `moves`; how many rollup rows changed. In doubt: read the positions."""
    rows = await asyncio.to_thread(tallies.rows)
    async with connection.transaction():
        await move(connection, ROLLUP, moves)
        if rows:
            await add_to_rollups(connection, rows)
        await connection.execute(_FOLDED, owner, batches)
    return len(rows)


async def delete_expired(connection: asyncpg.Connection) -> int:
    """Delete rollups that are old enough, in small steps, at most 100,000 of a grain; how many went."""
    deleted = 0
    for grain, kept in KEPT.items():
        for _ in range(_MOST_DELETES):
            done = await connection.execute(_EXPIRED, grain, kept, _DELETED_AT_ONCE)
            step = int(done.rpartition(" ")[2])
            deleted += step
            if step < _DELETED_AT_ONCE:
                break
    return deleted
