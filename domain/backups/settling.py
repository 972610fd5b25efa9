"""Makes a restored database complete in itself: rollups get the log rows that they lacked when the backup was made.

Ingesters count those from their journals (decision 23). Behind a restore the journals may be gone, or on the way that
they have gone since, their segments: so they are counted from the rows, and both positions of a journal become one. What
a journal holds beyond it is stored by the next ingester that finds the journal, and what it holds before it is not. A log
store is told to forget what was stored since, and to be sent again what it then lacks.
"""

from typing import Any

from domain.ingesting.folding import merge
from domain.ingesting.positions import LOG, ROLLUP
from domain.ingesting.rollup_writing import STAGE
from domain.ingesting.tallies import Tallies
from domain.journal.records import OUTCOME_CODE, pack_end

_BEHIND = """
select r.organization_id, r.key_id, r.service_id, r.operation_id, (extract(epoch from r.at) * 1000000)::bigint as at_us,
       r.total_us, r.upstream_us, r.bytes_in, r.bytes_out, r.cost_micro, r.status, r.outcome, r.refusal, r.limit_name,
       r.decision
  from usage_unfolded u join request_log r on r.created_at = u.stored_at and r.at >= (select min(first_at) from usage_unfolded)
"""
_ONE_POSITION = """
update journal_position f set segment = l.segment, position = l.position from journal_position l
 where l.journal_id = f.journal_id and l.consumer = $1 and f.consumer = $2
"""
# The log store may have been sent rows since that this database does not know.
_REWIND = """
update log_store set rewind_from = coalesce((select min(stored_at) from log_outbox),
                                            (select max(created_at) + interval '1 microsecond' from request_log), now())
"""
_NO_ID = bytes(16)
_IDS = ("organization_id", "key_id", "service_id", "operation_id")
_AT_ONCE = 5_000


async def settle(connection: Any) -> int:
    """In the caller's transaction, while nobody else writes; how many rows were counted."""
    tallies, counted = Tallies(), 0
    async for row in connection.cursor(_BEHIND, prefetch=_AT_ONCE):
        tallies.count(_countable(row))
        counted += 1
    await connection.execute(STAGE)
    await merge(connection, tallies)
    await connection.execute("delete from usage_unfolded")
    await connection.execute(_ONE_POSITION, LOG, ROLLUP)
    await connection.execute(_REWIND)
    return counted


def _countable(row: Any) -> bytes:
    """A journal's record again, without what no sum looks at."""
    ids = b"".join(row[name].bytes if row[name] else _NO_ID for name in _IDS)
    upstream_us = -1 if row["upstream_us"] is None else row["upstream_us"]
    numbers = (row["at_us"], row["total_us"], upstream_us, row["bytes_in"], row["bytes_out"], row["cost_micro"])
    refusal, limit_name = ((row[name] or "").encode() for name in ("refusal", "limit_name"))
    return pack_end(
        _NO_ID, ids, *numbers, row["status"], OUTCOME_CODE[row["outcome"]], b"", b"", b"", refusal, limit_name,
        b"", b"", b"", row["decision"] or b"",
    )  # fmt: skip
