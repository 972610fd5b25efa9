"""Jobs of asynchronous operations of all organizations: the list with its filters, and one of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlencode
from uuid import UUID

from admin.web.layout import Page
from admin.web.page import PageRoute, chosen
from admin.web.visit import Visit
from domain.async_jobs.reading import STATUSES, JobFilter, JobList, JobRecord, fetch_anybodys_job, list_anybodys_jobs
from domain.back_office.customers import operators_access
from domain.cursors import parse_cursor
from domain.faults import Fault
from domain.operators import Right

PATH = "/async-jobs"
_FILTERS = ("organization", "status", "service", "key")
_REFRESH_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class AsyncJobsPage(Page):
    """Jobs, newest first; `refresh` in seconds, 0 for never."""

    template: ClassVar[str] = "async_jobs.html"
    title: str = "Asynchronous jobs"
    found: JobList
    filters: Mapping[str, str]
    services: tuple[str, ...]
    first: str
    following: str
    refresh: int
    statuses: tuple[str, ...] = STATUSES


@dataclass(frozen=True, kw_only=True)
class AsyncJobPage(Page):
    """One job. `logged`: whether the request that began it is in the logs still."""

    template: ClassVar[str] = "async_job.html"
    job: JobRecord
    logged: bool
    refresh: int


async def show_all(visit: Visit) -> Page:
    """GET /async-jobs."""
    filters = {name: chosen(visit, name)[:200] for name in _FILTERS if chosen(visit, name)}
    cursor = parse_cursor(chosen(visit, "cursor"))
    found, error = JobList((), None), ""
    try:
        found = await list_anybodys_jobs(
            visit.connection, await _organization(visit, filters), _filter(filters), after=cursor
        )
    except (Fault, ValueError) as fault:
        error = str(fault) if isinstance(fault, Fault) else "The key is named by its id."
    rows = await visit.connection.fetch(
        "select slug from service s where exists (select from operation o where o.service_id = s.id and o.asynchronous)"
        " order by slug limit 200"
    )
    following = {**filters, "cursor": str(found.following)} if found.following else {}
    return AsyncJobsPage(
        found=found,
        filters=filters,
        services=tuple(row["slug"] for row in rows),
        first=_url(filters) if cursor else "",
        following=_url(following) if following else "",
        refresh=_REFRESH_SECONDS if cursor is None and any(job.open for job in found.jobs) else 0,
        error=error,
        status=422 if error else 200,
    )


async def show(visit: Visit, job_id: UUID) -> Page:
    """GET /async-jobs/{job_id}."""
    job = await fetch_anybodys_job(visit.connection, job_id)
    return AsyncJobPage(
        title=f"{job.service or 'a deleted service'}: {job.operation or 'a deleted operation'}",
        job=job,
        refresh=_REFRESH_SECONDS if job.open else 0,
        logged=await visit.services.logs.find(visit.connection, job.organization_id, job.request_id) is not None,
    )


async def _organization(visit: Visit, filters: Mapping[str, str]) -> UUID | None:
    """The one that is asked for; None for all. Raises NotFound."""
    if "organization" not in filters:
        return None
    return (await operators_access(visit.connection, filters["organization"], visit.operator.id)).organization_id


def _filter(filters: Mapping[str, str]) -> JobFilter:
    """Raises ValueError for a key that is no id."""
    key_id = UUID(filters["key"]) if "key" in filters else None
    return JobFilter(filters.get("status"), filters.get("service"), key_id)


def _url(query: Mapping[str, str]) -> str:
    return f"{PATH}?{urlencode(query)}" if query else PATH


PAGES = (
    PageRoute(PATH, show_all, right=Right.LOOK),
    PageRoute(f"{PATH}/{{job_id:uuid}}", show, right=Right.LOOK),
)
