"""The header fields of what goes back to the caller: the upstream's own, plus exactly those of DESIGN section 4."""

from typing import TYPE_CHECKING

from domain.refusals import Refusal
from gateway import cors, headers, problems, ratelimit_headers
from gateway.dates import date_now
from gateway.ends import Headers

if TYPE_CHECKING:
    from gateway.exchange import Exchange


def _limits(exchange: "Exchange") -> Headers:
    bucket, verdict = exchange.bucket, exchange.verdict
    if bucket is None:
        return []
    legacy = exchange.services.settings.gateway.legacy_headers
    return ratelimit_headers.render(bucket, legacy=legacy, windows=verdict.windows if verdict is not None else None)


def relayed(exchange: "Exchange", upstream_headers: Headers) -> Headers:
    """An upstream's answer as the caller gets it."""
    service = exchange.matched.service
    limits = _limits(exchange)
    replace = headers.LEGACY_LIMIT if limits else ()
    fields = headers.to_client(upstream_headers, replace=replace, own_cors=bool(service.cors_origins))
    fields += limits
    fields.append((b"x-request-id", exchange.request_id_bytes))
    if service.cors_origins:
        fields += cors.answer_fields(exchange.request, service)
    return fields


def refusal(exchange: "Exchange", refused: Refusal) -> tuple[int, Headers, bytes]:
    """A problem document with the limits as they stand."""
    base_url = exchange.services.settings.gateway.error_base_url
    status, fields, body = problems.render(refused, str(exchange.request_id), base_url)
    fields = [(b"date", date_now()), *fields, *_limits(exchange)]
    route = exchange.route
    if route is not None and route.service.cors_origins:
        fields += cors.answer_fields(exchange.request, route.service)
    return status, fields, body


def switching(exchange: "Exchange", upstream_headers: Headers) -> bytes:
    """The whole 101 head of a WebSocket."""
    fields = headers.to_client(upstream_headers)
    fields += [(b"connection", b"upgrade"), (b"upgrade", b"websocket"), *_limits(exchange)]
    fields.append((b"x-request-id", exchange.request_id_bytes))
    lines = [b"HTTP/1.1 101 Switching Protocols", *(b"%b: %b" % field for field in fields), b"", b""]
    return b"\r\n".join(lines)
