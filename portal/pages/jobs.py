"""Jobs of asynchronous operations: the list with its filters, one job, what came of it as a file."""

import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response

from domain.access import Permission
from domain.async_jobs.reading import (
    STATUSES,
    JobFilter,
    JobList,
    JobRecord,
    JobResult,
    fetch_job,
    fetch_result,
    list_jobs,
)
from domain.cursors import parse_cursor
from domain.faults import InvalidValue
from domain.service_catalog import CatalogOperation, CatalogService, list_catalog
from portal.web.examples import polling_example
from portal.web.layout import Page, gateway_url
from portal.web.page import PageRoute
from portal.web.visit import Visit

PATH = "/o/{organization}/jobs"
ONE = f"{PATH}/{{job_id:uuid}}"
_FILTERS = ("status", "service", "key")
_REFRESH_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class JobsPage(Page):
    """`offered` are asynchronous operations of the catalog, each with its service; `refresh` in seconds, 0 for never."""

    template: ClassVar[str] = "jobs.html"
    path: str
    found: JobList
    filters: Mapping[str, str]
    offered: tuple[tuple[CatalogService, CatalogOperation], ...]
    services: tuple[CatalogService, ...]
    first: str
    following: str
    refresh: int
    statuses: tuple[str, ...] = STATUSES


@dataclass(frozen=True, kw_only=True)
class JobPage(Page):
    """One job. `logged`: whether the request that began it is in the logs still."""

    template: ClassVar[str] = "job.html"
    path: str
    job: JobRecord
    logged: bool
    service_path: str
    polling: str
    refresh: int


async def show_all(visit: Visit) -> Page:
    """One page of the list."""
    given = visit.request.query_params
    filters = {name: given[name].strip() for name in _FILTERS if given.get(name, "").strip()}
    cursor = parse_cursor(given.get("cursor"))
    services = await list_catalog(visit.connection, visit.access.organization_id)
    found, error = JobList((), None), ""
    try:
        found = await list_jobs(visit.connection, visit.access, _filter(filters), after=cursor)
    except InvalidValue as fault:
        error = str(fault)
    path = f"/o/{visit.access.slug}/jobs"
    moving = cursor is None and any(job.open for job in found.jobs)
    return JobsPage(
        title="Jobs",
        path=path,
        found=found,
        filters=filters,
        offered=tuple((each, one) for each in services for one in each.operations if one.asynchronous),
        services=tuple(each for each in services if any(one.asynchronous for one in each.operations)),
        first=_url(path, filters) if cursor else "",
        following=_url(path, {**filters, "cursor": str(found.following)}) if found.following else "",
        refresh=_REFRESH_SECONDS if moving else 0,
        error=error,
        status=422 if error else 200,
    )


async def show(visit: Visit, job_id: UUID) -> Page:
    """One job in full."""
    job = await fetch_job(visit.connection, visit.access, job_id)
    root = f"/o/{visit.access.slug}"
    return JobPage(
        title=job.operation or "A job",
        path=f"{root}/jobs",
        job=job,
        service_path=f"{root}/services/{job.service}" if job.service else "",
        polling=polling_example(gateway_url(visit), job.id),
        refresh=_REFRESH_SECONDS if job.open else 0,
        # Last, because it sets for the rest of the transaction how statements are planned.
        logged=await visit.services.logs.find(visit.connection, visit.access.organization_id, job.request_id)
        is not None,
    )


async def result(visit: Visit, job_id: UUID) -> Response:
    """What came of it, to be saved."""
    return download(job_id, await fetch_result(visit.connection, visit.access, job_id))


def download(job_id: UUID, found: JobResult) -> Response:
    """A result as a file. An upstream chose its bytes and its type, so no browser is told to show them as a page of ours."""
    kind = found.content_type.partition(";")[0].strip().lower()
    extension = (mimetypes.guess_extension(kind) if kind.isascii() else None) or ".bin"
    headers = {"content-disposition": f'attachment; filename="job-{job_id}{extension}"'}
    return Response(found.body, media_type="application/octet-stream", headers=headers)


def _filter(filters: Mapping[str, str]) -> JobFilter:
    try:
        key_id = UUID(filters["key"]) if "key" in filters else None
    except ValueError:
        raise InvalidValue("The key is named by its id.") from None
    return JobFilter(filters.get("status"), filters.get("service"), key_id)


def _url(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


PAGES = (
    PageRoute(PATH, show_all, permission=Permission.VIEW),
    PageRoute(ONE, show, permission=Permission.VIEW),
    PageRoute(f"{ONE}/result", result, permission=Permission.VIEW),
)
