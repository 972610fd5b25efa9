"""What people are shown of jobs: each with its last runs, the history, what failed for good; and the end of old runs."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.faults import NotFound
from domain.job_runs import stored_arguments

MOST_RUNS = 1_000
"""Ended runs of one job that are kept at the most, without those that failed."""
_DELETED_AT_ONCE = 5_000

_COLUMNS = """id, name, state, attempt, arguments, created_at, started_at, ended_at, due_at, progress, result, error,
    worker, requested_by, retry_of"""
_LIST = f"""
select {_COLUMNS} from job_run
 where ($1::text is null or name = $1) and ($2::text is null or state = $2)
   and ($3::timestamptz is null or (created_at, id) < ($3, $4::uuid))
 order by created_at desc, id desc limit $5
"""
_ONE = f"select {_COLUMNS} from job_run where id = $1"
_OVERVIEW = """
select j.name, j.description, j.cron, j.time_zone, l.state, l.started_at, l.ended_at, l.error, s.ended_at as succeeded_at,
       d.median, (select count(*) from job_run f where f.name = j.name and f.state = 'failed') as failed
  from job j
  left join lateral (select state, started_at, ended_at, error from job_run
                      where name = j.name order by created_at desc limit 1) as l on true
  left join lateral (select ended_at from job_run
                      where name = j.name and state = 'succeeded' order by created_at desc limit 1) as s on true
  left join lateral (
      select percentile_cont(0.5) within group (order by extract(epoch from ended_at - started_at)) as median
        from (select started_at, ended_at from job_run
               where name = j.name and state = 'succeeded' order by created_at desc limit 20) as last) as d on true
 where j.gone_at is null order by j.name
"""
_LAST_RESULT = """
select result from job_run where name = $1 and (state = 'succeeded' or state in ('failed', 'retried') and result is not null)
 order by created_at desc limit 1
"""
_OLD = """
delete from job_run where id in (
  select id from job_run where ended_at is not null and created_at < $1
  union all
  select id from (select id, row_number() over (partition by name order by created_at desc) as place
                    from job_run where state in ('succeeded', 'retried')) as ended where place > $2
  limit $3)
"""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run. `seconds` of the last attempt, once it has ended; `progress` {done, of, what}."""

    id: UUID
    name: str
    state: str
    attempt: int
    arguments: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    due_at: datetime | None
    seconds: float | None
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    error: str
    worker: str
    requested_by: str
    retry_of: UUID | None


@dataclass(frozen=True, slots=True)
class JobOverview:
    """A job, its last run, and how long its last twenty successes took in the middle; `failed` waits for somebody."""

    name: str
    description: str
    cron: str
    time_zone: str
    state: str | None
    started_at: datetime | None
    ended_at: datetime | None
    error: str | None
    succeeded_at: datetime | None
    median_seconds: float | None
    failed: int


async def list_runs(
    connection: Any,
    *,
    name: str | None = None,
    state: str | None = None,
    before: tuple[datetime, UUID] | None = None,
    most: int = 50,
) -> list[RunRecord]:
    """Newest first; `before`: those behind this one's `created_at` and `id`."""
    at, run_id = before or (None, None)
    return [_record(row) for row in await connection.fetch(_LIST, name, state, at, run_id, most)]


async def fetch_run(connection: Any, run_id: UUID) -> RunRecord:
    """One run. Raises NotFound."""
    row = await connection.fetchrow(_ONE, run_id)
    if row is None:
        raise NotFound(f"There is no run {run_id}.")
    return _record(row)


async def last_result(connection: Any, name: str) -> dict[str, Any]:
    """What came of the job's last run that came to an end, also if what it found makes it a failed one; else nothing."""
    stored = await connection.fetchval(_LAST_RESULT, name)
    return stored_arguments(stored)


async def overview(connection: Any) -> list[JobOverview]:
    """Every job that the workers know, by name."""
    return [
        JobOverview(
            **{name: row[name] for name in JobOverview.__dataclass_fields__ if name != "median_seconds"},
            median_seconds=None if row["median"] is None else round(row["median"], 3),
        )
        for row in await connection.fetch(_OVERVIEW)
    ]


async def delete_old(connection: Any, now: datetime, days: int) -> int:
    """Delete runs that ended and are older than so many days, or too many; how many, at most a batch. Call it again."""
    done = await connection.execute(_OLD, now - timedelta(days=days), MOST_RUNS, _DELETED_AT_ONCE)
    return int(done.rpartition(" ")[2])


def _record(row: Any) -> RunRecord:
    ended, started = row["ended_at"], row["started_at"]
    fields = {name: row[name] for name in RunRecord.__dataclass_fields__ if name != "seconds"}
    fields |= {name: None if row[name] is None else json.loads(row[name]) for name in ("progress", "result")}
    fields["arguments"] = stored_arguments(row["arguments"])
    seconds = round((ended - started).total_seconds(), 3) if ended and started else None
    return RunRecord(**fields, seconds=seconds)
