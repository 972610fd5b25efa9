"""What is written to the upstream for one admitted exchange: target, fields, deadlines. No I/O."""

import random
from typing import TYPE_CHECKING

from gateway import headers, tracing
from gateway.client_address import parse_address
from gateway.ends import Deadlines, Headers, UpstreamRequest

if TYPE_CHECKING:
    from domain.snapshots import ServiceSnapshot, UpstreamSnapshot
    from gateway.exchange import Exchange

VIA = b"1.1 paid-endpoint"
WEBSOCKET = b"websocket"


def upstream_request(exchange: "Exchange", origin: "UpstreamSnapshot") -> UpstreamRequest:
    """The request for the upstream."""
    request = exchange.request
    upgrade = WEBSOCKET if request.upgrade == WEBSOCKET else b""
    return UpstreamRequest(
        method=request.method,
        target=_target(exchange, origin),
        headers=_headers(exchange, origin, upgrade),
        body=request.body,
        upgrade=upgrade,
    )


def pick(origins: "tuple[UpstreamSnapshot, ...]") -> "UpstreamSnapshot":
    """One of a service's origins, at random by weight; no state, so workers need not agree."""
    if len(origins) == 1:
        return origins[0]
    weights = [origin.weight for origin in origins]
    return random.choices(origins, weights if any(weights) else None)[0]  # noqa: S311  spreading, not secrecy


def deadlines(service: "ServiceSnapshot") -> Deadlines:
    """The service's own timeouts."""
    return Deadlines(service.connect_timeout, service.first_byte_timeout, service.idle_timeout, service.total_timeout)


def _target(exchange: "Exchange", origin: "UpstreamSnapshot") -> bytes:
    """Base path of the upstream + raw path behind the prefix + raw query.

    The prefix is plain characters, and a canonical path differs from the raw one only by the spelling of escapes, so
    the raw path is cut at the same number of segments.
    """
    request, match = exchange.request, exchange.matched
    path = request.target_path
    if not match.service.keep_prefix:
        segments = match.service.route_prefix.count(b"/")
        path = b"/" + b"/".join(path.split(b"/")[segments + 1 :])
    target = origin.path + path
    return target + b"?" + request.query if request.has_query else target


def _headers(exchange: "Exchange", origin: "UpstreamSnapshot", upgrade: bytes) -> Headers:
    request, key, address = exchange.request, exchange.key, exchange.address
    traceparent = _single(request.headers, b"traceparent")
    ours, exchange.trace_id, goes_on = tracing.continued(traceparent)
    kept = headers.to_upstream(request, exchange.key_bytes, trace_goes_on=goes_on)
    host = _single(request.headers, b"host") or b""
    written: Headers = [(b"host", origin.host_header), *kept, (b"via", VIA), (b"traceparent", ours)]
    written += _forwarded(exchange, address, host)
    written += (
        (b"x-request-id", exchange.request_id_bytes),
        (b"x-pe-request-id", exchange.request_id_bytes),
        (b"x-pe-organization", key.organization_slug.encode()),
        (b"x-pe-key-id", str(key.id).encode()),
        (b"x-pe-plan", key.plan_slug.encode()),
    )
    if upgrade:
        written += ((b"connection", b"upgrade"), (b"upgrade", upgrade))
    return written


def _forwarded(exchange: "Exchange", address: str, host: bytes) -> Headers:
    """`Forwarded` (RFC 7239) and its older twins; a trusted proxy's own chain goes on, anybody else's is replaced."""
    request = exchange.request
    parsed = parse_address(request.peer)
    node = request.peer.encode("ascii", "replace")
    quoted = b'"[%b]"' % node if parsed is not None and parsed.version == 6 else node
    element = b"for=%b;host=%b;proto=%b" % (quoted, _quoted(host), request.scheme.encode())
    chain, proto, forwarded_host = node, request.scheme.encode(), host
    if exchange.services.addresses.trusts(request):
        for name, value in request.headers:
            if name == b"forwarded":
                element = b"%b, %b" % (value, element)
            elif name == b"x-forwarded-for":
                chain = b"%b, %b" % (value, chain)
            elif name == b"x-forwarded-proto":
                proto = value
            elif name == b"x-forwarded-host":
                forwarded_host = value
    return [
        (b"forwarded", element),
        (b"x-forwarded-for", chain),
        (b"x-forwarded-proto", proto),
        (b"x-forwarded-host", forwarded_host),
        (b"x-real-ip", address.encode("ascii", "replace")),
    ]


def _quoted(host: bytes) -> bytes:
    """RFC 7239 wants a quoted string where a host has a port or brackets; the guard keeps quotes out of Host."""
    return b'"%b"' % host if not host.isalnum() else host


def _single(fields: Headers, wanted: bytes) -> bytes | None:
    """The field's value if it stands there exactly once."""
    found = [value for name, value in fields if name == wanted]
    return found[0] if len(found) == 1 else None
