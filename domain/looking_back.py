"""Searching a long table newest first, for as long as somebody waits: in steps along an index, each bounded in rows and time."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from domain.cursors import Cursor

FIRST_STEP, STEP = 500, 20_000
"""Rows that are looked at in one statement: few at first, then as many as the time allows by what those took."""

STATEMENT_SECONDS = 5.0
"""A backstop: a statement that takes longer is given up."""

_CAREFUL = 0.5
"""How much of the time that is left a step may take: rows that are not in memory take longer than those before."""

# Planned by the values, which alone show what is rare; and always along an index in its order, never all rows and a sort.
PLANNING = (
    "set local plan_cache_mode = force_custom_plan; set local enable_sort = off; set local enable_bitmapscan = off;"
    " set local enable_seqscan = off; set local max_parallel_workers_per_gather = 0; set local jit = off"
)
SORTING = "set local enable_sort = on"
"""For what is asked afterwards in the same transaction."""

Step = Callable[[Cursor | None, int, int], Awaitable[tuple[list[Any], Cursor | None]]]
"""Behind which row, how many rows to look at, and how many of them to bring at most: as `one_step` answers."""


@dataclass(frozen=True, slots=True)
class Found:
    """Rows that match, as (id, time), newest first. `following` is where to go on; None: that was all.

    `looked_back_to`: time ran out; later rows than this were all looked at.
    """

    keys: list[tuple[UUID, datetime]]
    following: Cursor | None
    looked_back_to: datetime | None


async def look_back(
    look: Step, after: Cursor | None, *, limit: int, seconds: float, first_step: int = FIRST_STEP, step: int = STEP
) -> Found:
    """At most `limit` rows behind `after`. Stops after about `seconds`, with one step at the least."""
    deadline = time.monotonic() + seconds
    keys: list[tuple[UUID, datetime]] = []
    least = max(first_step, limit)
    place, size = after, least
    while True:
        began = time.monotonic()
        rows, place = await look(place, size, limit + 1 - len(keys))
        keys += [(row["id"], row["at"]) for row in rows if row["matches"]]
        if len(keys) > limit:
            keys = keys[:limit]
            return Found(keys, Cursor(keys[-1][1], keys[-1][0]), None)
        if place is None:
            return Found(keys, None, None)
        now = time.monotonic()
        if now >= deadline:
            return Found(keys, place, place.at)
        size = max(least, min(step, int(_CAREFUL * size * (deadline - now) / max(now - began, 0.000_1))))


async def one_step(
    connection: Any, statement: str, values: list[Any], size: int, most: int
) -> tuple[list[Any], Cursor | None]:
    """Run a statement that looks at `size` rows and brings at most `most` that match or are the last, with id, at, number.

    The rows, and where it ended; None: at the end of the table. Raises TimeoutError after STATEMENT_SECONDS.
    """
    try:
        rows = await connection.fetch(statement, *values, timeout=STATEMENT_SECONDS)
    except asyncpg.QueryCanceledError as fault:
        raise TimeoutError from fault
    full = len(rows) == most or (bool(rows) and rows[-1]["number"] == size)
    return rows, Cursor(rows[-1]["at"], rows[-1]["id"]) if full else None
