"""What time does to jobs: those past their deadline end, what was charged is counted, old results are dropped, and in the
end the jobs themselves. What of them is money stays in the ledger.
"""

from datetime import datetime, timedelta
from typing import Any

from domain.async_jobs.counting import count_charged
from domain.async_jobs.ending import end_of_closed, end_overdue
from domain.credits.usage_checks import KEPT_SINCE

_MOST = 200
_DROP = """
update async_job set result = null, result_dropped_at = now() where id in (
  select id from async_job where result is not null and ended_at < $1 order by ended_at limit $2 for update skip locked)
"""
# Nobody can fetch these any more.
_DROP_OF_CLOSED = """
update async_job set result = null, result_dropped_at = now() where id in (
  select j.id from async_job j join organization o on o.id = j.organization_id and o.state = 'closed'
   where j.result is not null and j.ended_at < $1 limit $2 for update of j skip locked)
"""
# The proof of the ledger compares a charge with its job for as long as the logs of that day are kept.
_SETTLED = f"(j.charged_micro = 0 or j.counted) and j.ended_at < coalesce(({KEPT_SINCE}), now())"
_DELETE = f"""
delete from async_job where id in (
  select j.id from async_job j where j.ended_at < $1 and {_SETTLED} order by j.ended_at limit $2 for update skip locked)
"""
_DELETE_OF_CLOSED = f"""
delete from async_job where id in (
  select j.id from organization o join async_job j on j.organization_id = o.id
   where o.state = 'closed' and j.ended_at < $1 and {_SETTLED} limit $2 for update of j skip locked)
"""


async def sweep(connection: Any) -> int:
    """End everything that is overdue, and count what was charged; how many ended. Each step is a transaction of its own."""
    ended = await end_overdue(connection, await connection.fetchval("select now()"), most=_MOST)
    while await count_charged(connection, most=_MOST) == _MOST:
        pass
    return ended


async def sweep_thoroughly(connection: Any) -> int:
    """The same, and what is open of organizations that are closed."""
    return await end_of_closed(connection, most=_MOST) + await sweep(connection)


async def drop_results(connection: Any, now: datetime, days: int) -> int:
    """Drop results of jobs that ended so many days ago, and of closed organizations, in bounded batches; how many."""
    dropped = await _in_batches(connection, _DROP, now - timedelta(days=days))
    return dropped + await _in_batches(connection, _DROP_OF_CLOSED, now)


async def delete_ended(connection: Any, now: datetime, days: int) -> int:
    """Delete jobs that ended so many days ago, and those of closed organizations, in bounded batches; how many.

    Not before their charge is counted, and the request logs of their day are gone.
    """
    deleted = await _in_batches(connection, _DELETE, now - timedelta(days=days))
    return deleted + await _in_batches(connection, _DELETE_OF_CLOSED, now)


async def _in_batches(connection: Any, statement: str, before: datetime) -> int:
    done = 0
    while step := int((await connection.execute(statement, before, _MOST)).split()[-1]):
        done += step
        if step < _MOST:
            break
    return done
