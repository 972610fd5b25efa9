"""How a refusal looks to the caller: RFC 9457 problem documents.

Everything that a caller may see of a refusal is decided here. `internal` texts never are.
"""

import json
from typing import Any

from domain.refusals import InvalidKey, Refusal
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
