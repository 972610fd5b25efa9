"""How far each journal is stored, in the database itself: changed only in the transaction that stores, and only from the
value that was expected. So a batch is posted once, whoever else tries, and after any doubt the database is asked.

There are two consumers: `log` stores request_log, `rollup` follows it and folds usage_rollup less often.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

LOG, ROLLUP = "log", "rollup"


class Position(NamedTuple):
    """The byte behind the last frame that is stored. BEGINNING before any, CLOSED when the journal is over and all is stored."""

    segment: int
    offset: int


BEGINNING = Position(0, 0)
CLOSED = Position(2**31 - 1, 0)


class Move(NamedTuple):
    """One journal's step forward."""

    journal_id: UUID
    expected: Position
    reached: Position


class PositionMoved(Exception):  # noqa: N818  nobody's fault: somebody else was first
    """A stored position is not the one that was expected; nothing of the transaction may stay."""


_MOVE = """
update journal_position p set segment = n.segment, position = n.position, updated_at = now()
  from unnest($2::uuid[], $3::int[], $4::bigint[], $5::int[], $6::bigint[])
       as n (id, segment, position, expected_segment, expected_position)
 where p.journal_id = n.id and p.consumer = $1 and p.segment = n.expected_segment and p.position = n.expected_position
"""
_READ = """
with made as (
    insert into journal_position (journal_id, consumer, segment, position)
    select id, consumer, 0, 0 from unnest($1::uuid[]) as i (id), unnest($2::text[]) as c (consumer)
    on conflict do nothing returning journal_id, consumer, segment, position
)
select journal_id, consumer, segment, position from made
union all select journal_id, consumer, segment, position from journal_position where journal_id = any($1)
"""


async def read_positions(connection: Any, journals: Iterable[UUID]) -> dict[tuple[UUID, str], Position]:
    """Both positions of each journal; one that is new to the database begins at BEGINNING."""
    rows = await connection.fetch(_READ, list(journals), [LOG, ROLLUP])
    return {(row["journal_id"], row["consumer"]): Position(row["segment"], row["position"]) for row in rows}


async def move(connection: Any, consumer: str, moves: Sequence[Move]) -> None:
    """Move positions inside the caller's transaction. Raises PositionMoved."""
    done = await connection.execute(
        _MOVE,
        consumer,
        [step.journal_id for step in moves],
        [step.reached.segment for step in moves],
        [step.reached.offset for step in moves],
        [step.expected.segment for step in moves],
        [step.expected.offset for step in moves],
    )
    if done != f"UPDATE {len(moves)}":
        raise PositionMoved(f"{done} instead of {len(moves)}")


async def forget(connection: Any, journal_id: UUID) -> None:
    """A closed journal's files are gone, so nobody asks for its positions again."""
    await connection.execute("delete from journal_position where journal_id = $1", journal_id)
