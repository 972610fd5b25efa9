"""How a refusal looks to the caller: RFC 9457 problem documents.

Everything that a caller may see of a refusal is decided here. `internal` texts never are.
"""

import json
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from domain.refusals import InternalFault, InvalidKey, MethodNotAllowed, Refusal, UnknownRoute
from domain.request_ids import new_request_id
from gateway.ends import Headers

ERROR_BASE_URL = "/errors/"
"""Default prefix of `type`: the gateway itself serves the pages of `docs/errors/` under it."""


def document(refusal: Refusal, request_id: str, base_url: str = ERROR_BASE_URL) -> dict[str, Any]:
    """The problem document's members; `status` equals the HTTP status."""
    return {
        "type": f"{base_url}{refusal.code}",
        "title": refusal.title,
        "status": refusal.status,
        "detail": refusal.detail,
        "code": refusal.code,
        "request_id": request_id,
        **refusal.extra,
    }


def render(refusal: Refusal, request_id: str, base_url: str = ERROR_BASE_URL) -> tuple[int, Headers, bytes]:
    """Status, header fields (without framing) and body of a refusal.

    `content-length` is left to the door. All 401s have the same fields and, but for the request id, the same body.
    """
    body = json.dumps(document(refusal, request_id, base_url), separators=(",", ":"), ensure_ascii=True).encode()
    headers: Headers = [
        (b"content-type", b"application/problem+json"),
        (b"cache-control", b"no-store"),
        (b"x-request-id", request_id.encode()),
    ]
    if isinstance(refusal, InvalidKey):
        headers.append((b"www-authenticate", b'Bearer realm="paid-endpoint", error="invalid_token"'))
    if refusal.retry_after_seconds is not None:
        headers.append((b"retry-after", str(max(1, refusal.retry_after_seconds)).encode()))
    return refusal.status, headers, body


def answer_refusal() -> Mapping[Any, Any]:
    """Exception handlers for the gateway's own routes: the same documents as the exchange writes."""

    async def answer(request: Request, fault: Exception) -> Response:
        base_url = request.app.state.services.settings.gateway.error_base_url
        status, fields, body = render(_refusal_of(fault), str(new_request_id()), base_url)
        response = Response(body, status_code=status)
        response.raw_headers[:] = [*fields, (b"content-length", b"%d" % len(body))]
        if isinstance(fault, HTTPException) and fault.headers and "Allow" in fault.headers:
            response.headers["allow"] = fault.headers["Allow"]
        return response

    return {Refusal: answer, HTTPException: answer}


def _refusal_of(fault: Exception) -> Refusal:
    if isinstance(fault, Refusal):
        return fault
    status = fault.status_code if isinstance(fault, HTTPException) else 500
    return {404: UnknownRoute(), 405: MethodNotAllowed()}.get(status, InternalFault())
