"""The header fields of what goes back to the caller: the upstream's own, plus exactly those of DESIGN section 4."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from domain.refusals import Refusal
from gateway import cors, headers, problems, ratelimit_headers, ratelimit_lines
from gateway.dates import date_now
from gateway.ends import AnswerHead, Headers
from gateway.server.answer import BODILESS, head_block

if TYPE_CHECKING:
    from domain.quotas.bucket import Bucket
    from gateway.exchange import Exchange


def _limits(exchange: "Exchange") -> Headers:
    bucket, verdict = exchange.bucket, exchange.verdict
    if bucket is None:
        return []
    legacy = exchange.services.settings.gateway.legacy_headers
    return ratelimit_headers.render(bucket, legacy=legacy, windows=verdict.windows if verdict is not None else None)


def limit_lines(exchange: "Exchange") -> bytes:
    """The fields of `_limits` as lines of a head, by the long way."""
    return b"".join([b"%b: %b\r\n" % field for field in _limits(exchange)])


def known_lines(exchange: "Exchange", bucket: "Bucket") -> tuple[bytes, Sequence[int]]:
    """The same from what the bucket keeps, and its figures."""
    return ratelimit_lines.lines(bucket, legacy=exchange.services.settings.gateway.legacy_headers)


def relayed(exchange: "Exchange", upstream_headers: Headers) -> Headers:
    """An upstream's answer as the caller gets it."""
    service = exchange.matched.service
    limits = _limits(exchange)
    replace = headers.LEGACY_LIMIT if limits else ()
    fields = headers.to_client(upstream_headers, replace=replace, own_cors=bool(service.cors_origins))
    return fields + ours(exchange, limits)


def ours(exchange: "Exchange", limits: Headers | None = None) -> Headers:
    """What stands behind the upstream's own fields; `limits` if they are known."""
    service = exchange.matched.service
    fields = _limits(exchange) if limits is None else limits
    if exchange.charge is not None:
        fields += exchange.charge.fields(exchange.status)
    fields.append((b"x-request-id", exchange.request_id_bytes))
    if service.cors_origins:
        fields += cors.answer_fields(exchange.request, service)
    return fields


class _Kept:
    """What an `AnswerHead` becomes, made once: without and with our limits, and what stands behind the request id."""

    __slots__ = ("end", "limited", "plain")

    def __init__(self, head: AnswerHead) -> None:
        self.plain = head_block(head.status, headers.to_client(head.headers), [])[:-2]
        self.limited = head_block(head.status, headers.to_client(head.headers, replace=headers.LEGACY_LIMIT), [])[:-2]
        self.end = b"\r\ncontent-length: %d\r\n\r\n" % (head.length or 0)


def whole(exchange: "Exchange", head: AnswerHead, body: bytes, lines: bytes, charged: bytes = b"") -> bytes | None:
    """An upstream's whole answer as the caller gets it: the bytes that `relayed` and `Answer` would make of it.

    `lines` are the limits' fields, `charged` those of its charge. None where that is more than putting together what is kept: a policy on origins, a
    status without a body.
    """
    if exchange.matched.service.cors_origins or head.status in BODILESS or head.length is None:
        return None
    kept = head.kept
    if kept is None:
        kept = head.kept = _Kept(head)
    front = kept.limited if lines else kept.plain
    return b"%b%b%bx-request-id: %b%b%b" % (front, lines, charged, exchange.request_id_bytes, kept.end, body)


def refusal(exchange: "Exchange", refused: Refusal) -> tuple[int, Headers, bytes]:
    """A problem document with the limits as they stand."""
    base_url = exchange.services.settings.gateway.error_base_url
    status, fields, body = problems.render(refused, str(exchange.request_id), base_url)
    fields = [(b"date", date_now()), *fields, *_limits(exchange)]
    if exchange.charge is not None:
        fields += exchange.charge.fields(0)
    route = exchange.route
    if route is not None and route.service.cors_origins:
        fields += cors.answer_fields(exchange.request, route.service)
    return status, fields, body


def switching(exchange: "Exchange", upstream_headers: Headers) -> bytes:
    """The whole 101 head of a WebSocket."""
    fields = headers.to_client(upstream_headers)
    fields += [(b"connection", b"upgrade"), (b"upgrade", b"websocket"), *_limits(exchange)]
    if exchange.charge is not None:
        fields += exchange.charge.fields(exchange.status)
    fields.append((b"x-request-id", exchange.request_id_bytes))
    lines = [b"HTTP/1.1 101 Switching Protocols", *(b"%b: %b" % field for field in fields), b"", b""]
    return b"\r\n".join(lines)
