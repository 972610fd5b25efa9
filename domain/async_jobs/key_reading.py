"""Jobs as the holder of an API key sees them: those of its organization, as far as its scopes go."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from domain.async_jobs.ending import Standing, end, failed
from schema.async_jobs import JobFailure, JobStatus

MOST_LISTED = 100
STATUSES = tuple(status.value for status in JobStatus)
COMPLETED, CANCELLED = JobStatus.COMPLETED.value, JobFailure.CANCELLED.value
BY_CALLER = "It was cancelled by its caller."

LOOKED_AT = 2_000
"""Rows that one page looks at, however few of them are asked for."""

_COLUMNS = """
j.id, j.created_at, j.started_at, j.ended_at, j.deadline, j.status, j.reason, j.error, j.progress, j.message, j.request_id,
       j.key_id, coalesce(s.slug, '') as service, coalesce(o.name, '') as operation, j.price_micro, j.charged_micro,
       j.result_type, octet_length(j.result) as result_bytes, j.result_dropped_at
"""
_NAMES = """
left join service s on s.id = j.service_id left join operation o on o.id = j.operation_id
"""
_SEEN = "($2::text[] = '{}' or s.slug = any($2) or s.slug || ':' || o.name = any($2))"
_ONE = f"select {_COLUMNS} from async_job j {_NAMES} where j.organization_id = $1 and {_SEEN} and j.id = $3"
_LIST = f"""
with looked_at as materialized (
    select r.id, row_number() over (order by r.created_at desc, r.id desc) as number
      from (select id, created_at from async_job
             where organization_id = $1
               and ($4::uuid is null or (created_at, id) < (select b.created_at, b.id from async_job b
                                                             where b.id = $4 and b.organization_id = $1))
             order by created_at desc, id desc limit $6) r)
select * from (
    select {_COLUMNS}, l.number, {_SEEN} and ($3::text is null or j.status = $3) as matches
      from looked_at l join async_job j on j.id = l.id {_NAMES}) page
 where matches or number = $6 order by number limit $5
"""
_RESULT = "select result from async_job where id = $1 and organization_id = $2"


@dataclass(frozen=True, slots=True)
class KeyJob:
    """One job. Amounts in micro-credits; `result_bytes` is None where there is no result (any more)."""

    id: UUID
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    deadline: datetime
    status: str
    reason: str
    error: str
    progress: int
    message: str
    request_id: UUID
    key_id: UUID
    service: str
    operation: str
    price_micro: int
    charged_micro: int
    result_type: str
    result_bytes: int | None
    result_dropped_at: datetime | None

    @property
    def held_micro(self) -> int:
        """What is held for it."""
        return self.price_micro if self.ended_at is None else 0


class KeyJobs(NamedTuple):
    """Some of the jobs, newest first; `following`: those that are older than this job come next, None at the end."""

    jobs: list[KeyJob]
    following: UUID | None


async def list_jobs(
    connection: Any,
    organization_id: UUID,
    scopes: Iterable[str],
    *,
    status: str | None = None,
    before: UUID | None = None,
    most: int = 20,
) -> KeyJobs:
    """The newest, at most so many; of one status; those that are older than the job `before`.

    Fewer or none, with `following`, where few of LOOKED_AT rows are asked for.
    """
    most = min(most, MOST_LISTED)
    rows = await connection.fetch(_LIST, organization_id, sorted(scopes), status, before, most, LOOKED_AT)
    further = len(rows) == most or (rows and rows[-1]["number"] == LOOKED_AT)
    return KeyJobs([_job(row) for row in rows if row["matches"]], rows[-1]["id"] if further else None)


async def fetch_job(connection: Any, organization_id: UUID, scopes: Iterable[str], job_id: UUID) -> KeyJob | None:
    """One of them; None for one that is not there for this key."""
    row = await connection.fetchrow(_ONE, organization_id, sorted(scopes), job_id)
    return None if row is None else _job(row)


async def fetch_result(connection: Any, organization_id: UUID, job_id: UUID) -> bytes | None:
    """The result's bytes; None where there are none."""
    result: bytes | None = await connection.fetchval(_RESULT, job_id, organization_id)
    return result


async def cancel(connection: Any, job_id: UUID) -> Standing | None:
    """Cancel a job that was not sent upstream; one that was, or that has ended, stays as it is. None: there is none.

    The caller has seen that the job is the organization's own.
    """
    return await end(
        connection, job_id, lambda row: None if row["attempts"] else failed(JobFailure.CANCELLED, BY_CALLER)
    )


def _job(row: Any) -> KeyJob:
    return KeyJob(**{name: value for name, value in row.items() if name not in {"number", "matches"}})
