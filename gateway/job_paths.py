"""/user/jobs: the jobs of a key's organization, their results, and their end before they begin. Costs nothing and counts
against nothing. What belongs to somebody else is not there.
"""

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.async_jobs import key_reading
from domain.async_jobs.key_reading import KeyJob
from domain.catalog.lending import READ_FAULTS, lent
from domain.credit_amounts import credits_text
from domain.credits.ledger_access import LedgerBusy
from domain.faults import in_one_line
from domain.refusals import (
    AddressNotAllowed,
    CannotDecide,
    JobNotCompleted,
    JobOver,
    JobResultGone,
    JobUnderWay,
    MalformedRequest,
    OrganizationSuspended,
    UnknownJob,
)
from gateway.client_address import parse_address, within
from gateway.doors.plain import request_of
from gateway.policies.authenticate import key_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from domain.databases import PooledConnection
    from domain.snapshots import KeySnapshot
    from gateway.services import Services

READING_SECONDS = 2.0
DEFAULT_LISTED = 20
_AGAIN_SECONDS = 2
_NO_STORE = {"cache-control": "no-store"}


async def list_jobs(request: Request) -> Response:
    """The newest first; `limit`, `status`, and `before`, the `next` of the page before; one of rare jobs is short."""
    services, key = await _caller(request)
    query = request.query_params
    status, limit = query.get("status"), query.get("limit", str(DEFAULT_LISTED))
    if status is not None and status not in key_reading.STATUSES:
        raise MalformedRequest(f"status is one of {', '.join(key_reading.STATUSES)}.")
    if re.fullmatch(r"[0-9]{1,3}", limit) is None or not 1 <= int(limit) <= key_reading.MOST_LISTED:
        raise MalformedRequest(f"limit is a whole number from 1 to {key_reading.MOST_LISTED}.")
    before = query.get("before")
    async with asking(services, services.jobs.looking) as connection:
        found = await key_reading.list_jobs(
            connection, key.organization_id, key.scopes, status=status,
            before=None if before is None else _id(before), most=int(limit),
        )  # fmt: skip
    more = None if found.following is None else str(found.following)
    return JSONResponse({"jobs": [_document(job) for job in found.jobs], "next": more}, headers=_NO_STORE)


async def show_job(request: Request) -> Response:
    """One job; DELETE cancels it, while nothing was sent upstream."""
    services, key = await _caller(request)
    if request.method == "DELETE":
        async with in_turn(services, key.organization_id), asking(services, services.jobs.looking) as connection:
            job = await _cancelled(connection, key, await _job(connection, key, request))
    else:
        async with asking(services, services.jobs.looking) as connection:
            job = await _job(connection, key, request)
    waiting = {} if job.ended_at is not None else {"retry-after": str(_AGAIN_SECONDS)}
    return JSONResponse(_document(job), headers={**_NO_STORE, **waiting})


async def job_result(request: Request) -> Response:
    """What came of a completed job, as its upstream gave it."""
    services, key = await _caller(request)
    async with asking(services, services.jobs.looking) as connection:
        job = await _job(connection, key, request)
        if job.ended_at is None:
            raise JobNotCompleted(job_status=job.status, retry_after_seconds=_AGAIN_SECONDS)
        if job.status != key_reading.COMPLETED:
            raise JobNotCompleted(job_status=job.status, reason=job.reason)
        result = await key_reading.fetch_result(connection, key.organization_id, job.id)
    if result is None and job.result_dropped_at is not None:
        raise JobResultGone
    answer = Response(result or b"", headers={**_NO_STORE, "x-content-type-options": "nosniff"})
    if job.result_type:
        answer.headers["content-type"] = job.result_type
    return answer


ROUTES = [
    Route("/user/jobs", list_jobs),
    Route("/user/jobs/{job_id}", show_job, methods=["GET", "DELETE"]),
    Route("/user/jobs/{job_id}/result", job_result),
]


@asynccontextmanager
async def asking(services: "Services", places: asyncio.Semaphore) -> "AsyncIterator[PooledConnection]":
    """A connection for a moment, at most so many at once. Raises CannotDecide while the database gives no answer."""
    try:
        async with asyncio.timeout(READING_SECONDS):
            await places.acquire()
        try:
            async with lent(services.database, READING_SECONDS) as connection:
                yield connection
        finally:
            places.release()
    except READ_FAULTS as fault:
        raise CannotDecide(
            "The gateway cannot look up jobs at the moment.", internal=in_one_line(fault), retry_after_seconds=1
        ) from None


@asynccontextmanager
async def in_turn(services: "Services", organization_id: UUID) -> "AsyncIterator[None]":
    """For what waits for the organization's account. Raises CannotDecide while somebody else has it."""
    try:
        async with services.jobs.turn(organization_id):
            yield
    except LedgerBusy as fault:
        raise CannotDecide(
            "The gateway cannot end jobs of this organization at the moment.",
            internal=str(fault),
            retry_after_seconds=1,
        ) from None


async def _caller(request: Request) -> "tuple[Services, KeySnapshot]":
    """Who asks, by the same rules as elsewhere, but that no plan is needed: what was paid for can be fetched."""
    services: Services = request.app.state.services
    asked = request_of(request.scope)
    key = await key_of(services, asked)
    if key.organization_state != "active":
        raise OrganizationSuspended
    if key.allowed_ips:
        address = parse_address(services.addresses.address_of(asked))
        if address is None or not within(address, key.allowed_ips):
            raise AddressNotAllowed
    return services, key


async def _job(connection: "PooledConnection", key: "KeySnapshot", request: Request) -> KeyJob:
    job_id = _id(request.path_params["job_id"])
    job = await key_reading.fetch_job(connection, key.organization_id, key.scopes, job_id)
    if job is None:
        raise UnknownJob
    return job


async def _cancelled(connection: "PooledConnection", key: "KeySnapshot", job: KeyJob) -> KeyJob:
    standing = await key_reading.cancel(connection, job.id)
    if standing is None:
        raise UnknownJob
    if standing.is_open:
        raise JobUnderWay(job_status=standing.status)
    if standing.reason != key_reading.CANCELLED:
        raise JobOver(job_status=standing.status, reason=standing.reason)
    after = await key_reading.fetch_job(connection, key.organization_id, key.scopes, job.id)
    return after or job


def _id(text: str) -> UUID:
    """Whatever is no id is the id of nothing."""
    try:
        return UUID(text) if len(text) == 36 else UUID(int=0)
    except ValueError:
        return UUID(int=0)


def _document(job: KeyJob) -> dict[str, Any]:
    url = f"/user/jobs/{job.id}"
    result = None
    if job.result_bytes is not None:
        result = {"url": f"{url}/result", "content_type": job.result_type, "bytes": job.result_bytes}
    return {
        "id": str(job.id),
        "status": job.status,
        "progress": job.progress,
        "message": job.message,
        "reason": job.reason or None,
        "error": job.error or None,
        "service": job.service,
        "operation": job.operation,
        "request_id": str(job.request_id),
        "created_at": job.created_at.isoformat(),
        "started_at": None if job.started_at is None else job.started_at.isoformat(),
        "ended_at": None if job.ended_at is None else job.ended_at.isoformat(),
        "deadline": job.deadline.isoformat(),
        "credits": {"held": credits_text(job.held_micro), "charged": credits_text(job.charged_micro)},
        "result": result,
        "url": url,
    }
