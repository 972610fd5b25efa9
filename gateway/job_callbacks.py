"""POST /callbacks/jobs/{id}: what an upstream says of a job, signed with its service's secret.

Who does not sign learns nothing: an unknown job, a service without a secret and a wrong signature look alike.
"""

from typing import TYPE_CHECKING
from uuid import UUID

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from domain.async_jobs.callback_secrets import Signer, signer_of_job
from domain.async_jobs.callbacks import apply, read_report, read_signed, require_signed
from domain.refusals import BodyTooLarge, CannotDecide, InvalidSignature, RequestTimeout, TooManyBadKeys
from domain.sealing import Unreadable
from gateway.doors.plain import request_of
from gateway.job_paths import asking, in_turn

if TYPE_CHECKING:
    from domain.databases import PooledConnection
    from gateway.services import Services

MORE_BYTES = 65_536
"""A callback has room for so much beside its result."""


async def job_callback(request: Request) -> Response:
    """Note progress or the end; the same callback again is answered as the first time."""
    services: Services = request.app.state.services
    settings = services.settings.asynchronous
    try:
        signed = read_signed(request.headers, settings.callback_skew_seconds)
        body = await _body(request, settings.max_result_bytes + MORE_BYTES)
        job_id = _id(request.path_params["job_id"])
        async with asking(services, services.jobs.hearing) as connection:
            signer = await _signer(connection, services, job_id)
        require_signed(signer.secrets, signed, body)
        report = read_report(body, job_id, settings.max_result_bytes)
        # Its end waits for the account of its organization, and keeps nobody else's callbacks waiting.
        async with in_turn(services, signer.organization_id), asking(services, services.jobs.hearing) as connection:
            standing = await apply(connection, job_id, report)
    except InvalidSignature:
        wait = services.bad_keys.hit(services.addresses.address_of(request_of(request.scope)))
        if wait:
            raise TooManyBadKeys(internal="callbacks with wrong signatures", retry_after_seconds=wait) from None
        raise
    document = {"id": str(job_id), "status": standing.status, "progress": standing.progress}
    return JSONResponse(document, headers={"cache-control": "no-store"})


async def _signer(connection: "PooledConnection", services: "Services", job_id: UUID) -> Signer:
    try:
        return await signer_of_job(connection, services.settings.secrets, job_id)
    except (Unreadable, ValueError) as fault:
        raise CannotDecide("The gateway cannot check this signature.", internal=str(fault)) from None


async def _body(request: Request, most: int) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                raise BodyTooLarge(max_bytes=most)
    except ClientDisconnect:
        raise RequestTimeout from None
    return bytes(body)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)
