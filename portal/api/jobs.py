"""Jobs of asynchronous operations: by filters, one of them, what came of it."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field
from starlette.responses import Response

from domain.access import Permission
from domain.async_jobs.reading import JobFilter, JobRecord, fetch_job, fetch_result, list_jobs
from domain.credit_amounts import credits_text
from domain.cursors import parse_cursor
from portal.api.endpoint import Endpoint
from portal.api.models import Answer, Credits, ListPage, PageQuery
from portal.pages.jobs import download
from portal.web.visit import Visit

_EXAMPLE: dict[str, Any] = {
    "id": "5b7e2c9a-0d1f-4c55-9a21-7f0e3d6c8b10", "status": "processing", "progress": 40, "message": "rendering page 2 of 5",
    "reason": None, "error": None, "service": "reports", "operation": "render",
    "operation_id": "0b9d8c7e-6f5a-4b3c-8d2e-1f0a9b8c7d6e", "key": "Production",
    "key_id": "7e0c3b0e-2f86-4a55-9a55-8f2a5a1f0c11", "request_id": "019ac0de-7a10-7c3e-8f21-2b6a0f1d9c55",
    "accepted_at": "2026-11-26T10:00:00Z", "started_at": "2026-11-26T10:00:01Z", "ended_at": None,
    "deadline": "2026-11-26T11:00:00Z", "credits_held": "2", "credits_charged": "0", "result_type": None,
    "result_bytes": None, "result_dropped_at": None,
}  # fmt: skip

Status = Literal["pending", "processing", "completed", "failed"]


class JobQuery(PageQuery):
    """Which jobs, and which page."""

    status: Annotated[Status | None, Field(description="Where they stand.")] = None
    service: Annotated[str | None, Field(pattern="^[a-z0-9][a-z0-9-]{0,62}$", description="Slug of a service.")] = None
    key: Annotated[UUID | None, Field(description="Id of an API key.")] = None


class JobAnswer(Answer):
    """One job. Names are null if what they name was deleted."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    status: Status
    progress: Annotated[int, Field(ge=0, le=100, description="Percent, as the service says.")]
    message: Annotated[str, Field(description="What the service says of it.")]
    reason: Annotated[
        str | None,
        Field(description="Of a failed one: upstream_failed, refused, undeliverable, overdue, cancelled or withdrawn."),
    ]
    error: Annotated[str | None, Field(description="Of a failed one: what is said of it.")]
    service: str | None
    operation: str | None
    operation_id: UUID
    key: str | None
    key_id: UUID
    request_id: Annotated[UUID, Field(description="The request that began it.")]
    accepted_at: datetime
    started_at: Annotated[datetime | None, Field(description="When it was first sent to the service.")]
    ended_at: datetime | None
    deadline: Annotated[datetime, Field(description="If it is not completed by then, it fails and costs nothing.")]
    credits_held: Credits
    credits_charged: Credits
    result_type: Annotated[str | None, Field(description="Media type of the result, as the service says.")]
    result_bytes: Annotated[int | None, Field(description="Null: no result is kept.")]
    result_dropped_at: datetime | None


class JobListPage(ListPage[JobAnswer]):
    """One page. Where few jobs match it may be short or empty: go on with `next_cursor` until that is null."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"data": [_EXAMPLE], "next_cursor": None}]})


async def index(visit: Visit, query: JobQuery) -> JobListPage:
    """GET /api/jobs."""
    which = JobFilter(query.status, query.service, query.key)
    found = await list_jobs(visit.connection, visit.access, which, after=parse_cursor(query.cursor), limit=query.limit)
    following = str(found.following) if found.following else None
    return JobListPage(data=[_answer(job) for job in found.jobs], next_cursor=following)


async def show(visit: Visit, job_id: UUID) -> JobAnswer:
    """GET /api/jobs/{job_id}."""
    return _answer(await fetch_job(visit.connection, visit.access, job_id))


async def result(visit: Visit, job_id: UUID) -> Response:
    """GET /api/jobs/{job_id}/result."""
    return download(job_id, await fetch_result(visit.connection, visit.access, job_id))


def _answer(job: JobRecord) -> JobAnswer:
    names = (
        "id", "status", "progress", "message", "service", "operation", "operation_id", "key", "key_id", "request_id",
        "started_at", "ended_at", "deadline", "result_bytes", "result_dropped_at",
    )  # fmt: skip
    return JobAnswer(
        **{name: getattr(job, name) for name in names},
        reason=job.reason or None,
        error=job.error or None,
        accepted_at=job.created_at,
        credits_held=credits_text(job.held_micro),
        credits_charged=credits_text(job.charged_micro),
        result_type=job.result_type or None,
    )


ENDPOINTS = (
    Endpoint(
        "GET", "/jobs", index, "Jobs by filters, newest first", "jobs",
        query=JobQuery, answer=JobListPage, permission=Permission.VIEW,
        description="Jobs of asynchronous operations. A search that finds little is short, and `next_cursor` goes on.",
    ),
    Endpoint("GET", "/jobs/{job_id:uuid}", show, "One job", "jobs", answer=JobAnswer, permission=Permission.VIEW),
    Endpoint(
        "GET", "/jobs/{job_id:uuid}/result", result, "What came of a job", "jobs",
        permission=Permission.VIEW, media_types=("application/octet-stream",),
        description="The bytes that the service gave; `result_type` of the job says what they are.",
    ),
)  # fmt: skip
