"""What jobs cost, added to the sums of usage: rollups and summaries count it where and when the job ended.

A job's request was counted when it was answered 202, so this adds credits and no request. Apart from the end of the job,
because every ingester writes the same sums, and nobody who holds an organization's credits waits for them.
"""

from datetime import datetime
from typing import Any

from domain.ingesting.folding import add
from domain.ingesting.rollup_writing import STAGE
from domain.ingesting.tallies import MINUTES, Key, Tally

_UNCOUNTED = """
select id, organization_id, key_id, service_id, operation_id, charged_micro, ended_at from async_job
 where charged_micro > 0 and not counted order by ended_at limit $1 for no key update skip locked
"""
_COUNTED = "update async_job set counted = true where id = any($1::uuid[])"
_DIMENSIONS = ("organization_id", "key_id", "service_id", "operation_id")
_COMPLETED_CLASS = 2


async def count_charged(connection: Any, *, most: int = 500) -> int:
    """Add what at most so many jobs cost that were not counted yet, in one transaction; how many they were."""
    async with connection.transaction():
        rows = await connection.fetch(_UNCOUNTED, most)
        if not rows:
            return 0
        await connection.execute(STAGE)
        await add(connection, _tallies(rows))
        await connection.execute(_COUNTED, [row["id"] for row in rows])
    return len(rows)


def _tallies(rows: list[Any]) -> list[tuple[Key, Tally]]:
    folded: dict[Key, Tally] = {}
    for row in rows:
        dimensions = b"".join(row[name].bytes for name in _DIMENSIONS)
        minute = _minute(row["ended_at"])
        for grain, length in MINUTES.items():
            tally = folded.setdefault((dimensions, grain, minute - minute % length, _COMPLETED_CLASS), Tally())
            tally.cost_micro += row["charged_micro"]
    return sorted(folded.items(), key=_key_of)


def _minute(at: datetime) -> int:
    return int(at.timestamp()) // 60


def _key_of(row: tuple[Key, Tally]) -> Key:
    return row[0]
