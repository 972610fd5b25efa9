"""What time does to jobs: those past their deadline end, what was charged is counted, old results are dropped."""

from datetime import datetime, timedelta
from typing import Any

from domain.async_jobs.counting import count_charged
from domain.async_jobs.ending import end_overdue

_MOST = 200
_DROP = """
update async_job set result = null, result_dropped_at = now() where id in (
  select id from async_job where result is not null and ended_at < $1 order by ended_at limit $2 for update skip locked)
"""


async def sweep(connection: Any) -> int:
    """End everything that is overdue, and count what was charged; how many ended. Each step is a transaction of its own."""
    ended = 0
    while step := await end_overdue(connection, await connection.fetchval("select now()"), most=_MOST):
        ended += step
        if step < _MOST:
            break
    while await count_charged(connection, most=_MOST) == _MOST:
        pass
    return ended


async def drop_results(connection: Any, now: datetime, days: int) -> int:
    """Drop results of jobs that ended so many days ago, in bounded batches; how many."""
    dropped = 0
    while step := int((await connection.execute(_DROP, now - timedelta(days=days), _MOST)).split()[-1]):
        dropped += step
        if step < _MOST:
            break
    return dropped
