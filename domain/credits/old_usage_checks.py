"""Usage entries against log rows that PostgreSQL dropped and the log store has: the same check, a day's batches at a time."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from domain.log_store.old_requests import HOLD, Batch, OldRequests
from domain.log_store.store import LogStore

_SINCE = "select min(first_at) as since, now() as now from credit_entry where type = 'usage'"
# Usage is entered by the transaction that stores it: created_at is the same moment, and has an index.
_POSTED = """
select organization_id, stored_at, requests, amount_micro, first_at, number from credit_entry
 where type = 'usage' and created_at >= $1 and created_at < $2 and coalesce(idempotency_key, '') not like 'job:%'
"""
# Of batches that ended on both sides of the first day that was never dropped, or are not sent yet.
_HERE = """
select r.organization_id, r.created_at, count(*), sum(r.cost_micro)::bigint
  from credit_entry p join request_log r on r.organization_id = p.organization_id and r.created_at = p.stored_at
 where p.type = 'usage' and p.first_at < $1 and (p.last_at >= $1 or p.stored_at >= $2)
   and r.cost_micro > 0 and (r.at >= $1 or r.created_at >= $2) group by 1, 2
"""
_JOBS = """
select count(*) from credit_entry
 where type = 'usage' and idempotency_key like 'job:%' and first_at >= $1 and first_at < $2
"""
_SKEW = timedelta(days=1)
"""Clocks of nodes may be ahead by less than this: so much earlier than it ended may a request have been stored."""


class Found(NamedTuple):
    """What did not agree, in the words of the other checks."""

    organization_id: UUID | None
    what: str
    expected: int
    found: int


async def dropped_usage(connection: Any, logs: LogStore) -> OldRequests | None:
    """Where the rows behind older usage are; None: PostgreSQL has all that there are. First in a transaction.

    Raises TimeoutError, LogStoreAway, LogStoreRefused.
    """
    await connection.execute(HOLD)
    row = await connection.fetchrow(_SINCE)
    return await logs.old_requests(connection, row["since"], row["now"]) if row["since"] is not None else None


async def check_dropped(connection: Any, old: OldRequests) -> tuple[int, list[Found]]:
    """How many entries that begin before `old.until` were compared, and what drifted. Raises what the log store raises."""
    here = {
        Batch(owner, stored_at): (requests, cost)
        for owner, stored_at, requests, cost in await connection.fetch(_HERE, old.until, old.stored_from)
    }
    checked: int = await connection.fetchval(_JOBS, old.exact_since, old.until)
    drifts: list[Found] = []
    first, end = old.exact_since - _SKEW, datetime.now(UTC) + _SKEW
    while first < end:
        next_ = min(first + timedelta(days=1), end)
        charged = await old.charged(first, next_)
        for row in await connection.fetch(_POSTED, first, next_):
            batch = Batch(row["organization_id"], row["stored_at"])
            requests, cost = charged.pop(batch, (0, 0))
            if row["first_at"] < old.exact_since or (row["first_at"] >= old.until and not requests):
                continue
            checked += row["first_at"] < old.until
            more = here.get(batch, (0, 0))
            drifts += _compared(row, requests + more[0], cost + more[1])
        for batch, sums in charged.items():
            drifts += await _unposted(connection, batch, *sums)
        first = next_
    return checked, drifts


def _compared(row: Any, requests: int, cost: int) -> list[Found]:
    pairs = (("requests", requests, row["requests"]), ("amount", cost, row["amount_micro"]))
    return [
        Found(row["organization_id"], f"{what} of usage entry {row['number']}", expected, found)
        for what, expected, found in pairs
        if expected != found
    ]


async def _unposted(connection: Any, batch: Batch, requests: int, cost: int) -> list[Found]:
    # As the other check writes it: by the session's time zone.
    of = "of the log rows stored at " + await connection.fetchval("select $1::timestamptz::text", batch.stored_at)
    return [
        Found(batch.organization_id, f"requests {of}", requests, 0),
        Found(batch.organization_id, f"amount {of}", cost, 0),
    ]
