"""Jobs of asynchronous operations as people look at them: an organization's for its members, all for operators.

A page looks at so many rows and no more: where few of them match it is short, and its cursor goes on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.access import Access, Permission
from domain.cursors import Cursor
from domain.faults import InvalidValue, NotFound
from domain.request_log import scrub_path, scrub_query
from schema.async_jobs import JobFailure, JobStatus

STATUSES = tuple(status.value for status in JobStatus)
LOOKED_AT = 5_000
"""Rows that one page looks at."""
REASONS: Mapping[str, str] = {
    JobFailure.UPSTREAM_FAILED: "The service says that it failed.",
    JobFailure.REFUSED: "The service refused the request.",
    JobFailure.UNDELIVERABLE: "The request could not be brought to the service.",
    JobFailure.OVERDUE: "It was not completed in time.",
    JobFailure.CANCELLED: "It was cancelled.",
    JobFailure.WITHDRAWN: "It came about after its request was answered 503, and was withdrawn.",
}
"""Each kind of failure as a sentence."""
_NONE = "There is no such job."

_COLUMNS = """
j.id, j.created_at, j.organization_id, g.slug as organization, j.key_id, k.name as key, s.slug as service, p.name as operation,
j.operation_id, j.request_id, j.status, j.reason, j.error, j.progress, j.message, j.deadline, j.started_at, j.ended_at,
j.price_micro, j.charged_micro, j.method, j.target, j.due_at, j.attempts, j.working, j.last_error, j.result_type,
octet_length(j.result) as result_bytes, j.result_dropped_at
"""
_NAMES = """
left join organization g on g.id = j.organization_id left join api_key k on k.id = j.key_id
left join service s on s.id = j.service_id left join operation p on p.id = j.operation_id
"""
_PAGE = f"""
with page as materialized (
    select id, created_at, number, matches from (
        select j.id, j.created_at, row_number() over () as number,
               ($2::text is null or j.status = $2)
               and ($3::text is null or j.service_id = (select id from service where slug = $3))
               and ($4::uuid is null or j.key_id = $4) as matches
          from (select * from async_job where {{}} order by created_at desc, id desc limit {LOOKED_AT}) j) looked_at
     where coalesce(matches, false) or number = {LOOKED_AT} limit $5)
select {_COLUMNS}, l.number, coalesce(l.matches, false) as matches
  from page l join async_job j on j.id = l.id {_NAMES} order by l.created_at desc, l.id desc
"""
_AFTER = "($6::timestamptz is null or (created_at, id) < ($6, $7::uuid))"
_OF_ONE = _PAGE.format(f"organization_id = $1 and {_AFTER}")
_OF_ALL = _PAGE.format(f"$1::uuid is null and {_AFTER}")
_ONE = f"select {_COLUMNS} from async_job j {_NAMES} where j.id = $1 and ($2::uuid is null or j.organization_id = $2)"
_RESULT = """
select status, result, result_type, result_dropped_at from async_job
 where id = $1 and ($2::uuid is null or organization_id = $2)
"""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job. Names are None where what they name was deleted. Amounts in micro-credits, `progress` in percent.

    `price_micro` is held while it is open; `charged_micro` was charged. `due_at` is when it is sent next, None if it need
    not be; `working`: it may be at work upstream. `result_bytes` is None where no result is kept.
    """

    id: UUID
    created_at: datetime
    organization_id: UUID
    organization: str
    key_id: UUID
    key: str | None
    service: str | None
    operation: str | None
    operation_id: UUID
    request_id: UUID
    status: str
    reason: str
    error: str
    progress: int
    message: str
    deadline: datetime
    started_at: datetime | None
    ended_at: datetime | None
    price_micro: int
    charged_micro: int
    method: str
    target: str
    due_at: datetime | None
    attempts: int
    working: bool
    last_error: str
    result_type: str
    result_bytes: int | None
    result_dropped_at: datetime | None

    @property
    def open(self) -> bool:
        """Whether it has not ended."""
        return self.ended_at is None

    @property
    def held_micro(self) -> int:
        """What is held of the organization's credits for it now."""
        return self.price_micro if self.open else 0

    @property
    def took(self) -> timedelta | None:
        """From its acceptance to its end; None while it is open."""
        return None if self.ended_at is None else self.ended_at - self.created_at

    @property
    def why(self) -> str:
        """Why it failed, as a sentence; empty otherwise."""
        return REASONS.get(self.reason, "")


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs: None leaves a side open. `service` is a slug."""

    status: str | None = None
    service: str | None = None
    key_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class JobList:
    """Some of the jobs, newest first. `following` is where to go on, None at the end; `short`: few of many matched."""

    jobs: tuple[JobRecord, ...]
    following: Cursor | None
    short: bool = False


@dataclass(frozen=True, slots=True)
class JobResult:
    """What came of a job, byte for byte, and what the upstream calls it."""

    content_type: str
    body: bytes


async def list_jobs(
    connection: Any, access: Access, which: JobFilter, *, after: Cursor | None = None, limit: int = 50
) -> JobList:
    """A page of the organization's jobs. Raises Forbidden, InvalidValue."""
    access.require(Permission.VIEW)
    return await _page(connection, _OF_ONE, access.organization_id, which, after, limit)


async def list_anybodys_jobs(
    connection: Any,
    organization_id: UUID | None,
    which: JobFilter,
    *,
    after: Cursor | None = None,
    limit: int = 50,
) -> JobList:
    """A page of an organization's jobs (None: of everybody's), for operators. Raises InvalidValue."""
    statement = _OF_ALL if organization_id is None else _OF_ONE
    return await _page(connection, statement, organization_id, which, after, limit)


async def fetch_job(connection: Any, access: Access, job_id: UUID) -> JobRecord:
    """One job of the organization. Raises Forbidden, NotFound."""
    access.require(Permission.VIEW)
    return _found(await connection.fetchrow(_ONE, job_id, access.organization_id))


async def fetch_anybodys_job(connection: Any, job_id: UUID) -> JobRecord:
    """One job, for operators. Raises NotFound."""
    return _found(await connection.fetchrow(_ONE, job_id, None))


async def fetch_result(connection: Any, access: Access, job_id: UUID) -> JobResult:
    """What came of a job of the organization. Raises Forbidden; NotFound, which says why there is none."""
    access.require(Permission.VIEW)
    row = await connection.fetchrow(_RESULT, job_id, access.organization_id)
    if row is None:
        raise NotFound(_NONE)
    if row["result"] is not None:
        return JobResult(row["result_type"], row["result"])
    if row["result_dropped_at"] is not None:
        raise NotFound("The result of this job is no longer kept.")
    if row["status"] == JobStatus.COMPLETED:
        raise NotFound("This job was completed without a result.")
    if row["status"] == JobStatus.FAILED:
        raise NotFound("This job failed: it has no result.")
    raise NotFound("This job is not completed yet: it has no result so far.")


async def find_job_of(connection: Any, access: Access, request_id: UUID) -> UUID | None:
    """The job that a request of the organization began; None for none. Raises Forbidden."""
    access.require(Permission.VIEW)
    found: UUID | None = await connection.fetchval(
        "select id from async_job where request_id = $1 and organization_id = $2", request_id, access.organization_id
    )
    return found


async def _page(
    connection: Any, statement: str, organization_id: UUID | None, which: JobFilter, after: Cursor | None, limit: int
) -> JobList:
    if which.status is not None and which.status not in STATUSES:
        raise InvalidValue(f"The status is one of {', '.join(STATUSES)}.")
    rows = await connection.fetch(
        statement,
        organization_id,
        which.status,
        which.service,
        which.key_id,
        limit + 1,
        after.at if after else None,
        after.id if after else None,
    )
    found = [row for row in rows if row["matches"]]
    jobs = tuple(_record(row) for row in found[:limit])
    if len(found) > limit:
        return JobList(jobs, Cursor(jobs[-1].created_at, jobs[-1].id))
    if rows and rows[-1]["number"] == LOOKED_AT:
        return JobList(jobs, Cursor(rows[-1]["created_at"], rows[-1]["id"]), short=True)
    return JobList(jobs, None)


def _found(row: Any) -> JobRecord:
    if row is None:
        raise NotFound(_NONE)
    return _record(row)


def _record(row: Any) -> JobRecord:
    fields = dict(row)
    for name in ("number", "matches"):
        fields.pop(name, None)
    # What the upstream is asked for stands there as it came; whoever looks at it sees what the logs would show.
    path, mark, query = fields["target"].partition("?")
    return JobRecord(**{**fields, "target": scrub_path(path.encode()) + mark + scrub_query(query.encode())})
