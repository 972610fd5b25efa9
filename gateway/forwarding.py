"""What is written to the upstream for one admitted exchange: target, fields, deadlines. No I/O."""

import random
from functools import lru_cache
from time import monotonic_ns
from typing import TYPE_CHECKING

from domain.journal.trace_marks import marked
from gateway import headers
from gateway.client_address import parse_address
from gateway.ends import ClientRequest, Deadlines, Headers, UpstreamRequest
from gateway.upstream.request_head import request_head

if TYPE_CHECKING:
    from domain.snapshots import ServiceSnapshot, UpstreamSnapshot
    from gateway.exchange import Exchange

VIA = b"1.1 paid-endpoint"
WEBSOCKET = b"websocket"
LONGEST_CACHED_HOST = 64
"""Callers choose this text: what is remembered of it stays small."""
CHAINED = frozenset((b"forwarded", b"x-forwarded-for"))
REPLACED = frozenset((b"x-forwarded-proto", b"x-forwarded-host"))
_KNOWN, _KNOWN_SAMPLED = (
    b"%b%btraceparent: 00-%b-%b-" + flags + b"\r\nx-request-id: %b\r\nx-pe-request-id: %b\r\n\r\n"
    for flags in (b"00", b"01")
)


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


def job_request(exchange: "Exchange") -> tuple[bytes, Headers]:
    """The same for later: target behind an origin's own path, and fields without `Host`, which an origin brings.

    The body is kept whole and its answer is read by us, so the caller's codings of answers are not asked for.
    """
    origin = pick(exchange.matched.service.upstreams)
    fields = [field for field in _headers(exchange, origin, b"")[1:] if field[0] != b"accept-encoding"]
    return _target(exchange, origin)[len(origin.path) :], [*fields, (b"accept-encoding", b"identity")]


def known_lines(exchange: "Exchange") -> tuple[dict[str, bytes], bytes]:
    """The head that every request like this one has, all but `_changing`, in two: by the origin's URL what hangs on the
    request line, and what hangs on its fields and the peer. Raises ValueError.
    """
    method, heads, rest = exchange.request.method, {}, b""
    for origin in exchange.matched.service.upstreams:
        target = _target(exchange, origin)
        whole = request_head(UpstreamRequest(method, target, _fixed(exchange, origin, goes_on=False)))[:-2]
        begin = request_head(UpstreamRequest(method, target, [(b"host", origin.host_header)]))[:-2]
        if not whole.startswith(begin) or (rest and rest != whole[len(begin) :]):
            raise ValueError("a head does not begin with what hangs on its line")
        heads[origin.url], rest = begin, whole[len(begin) :]
    return heads, rest


def known_head(exchange: "Exchange", begin: bytes, lines: bytes) -> bytes:
    """The head for the upstream on both parts. Begins a trace; the request's id is its own (`gateway.tracing`)."""
    trace = exchange.trace_id = exchange.id.hex().encode()
    request_id = exchange.request_id_bytes
    return _KNOWN % (begin, lines, trace, trace[16:], request_id, request_id)


def known_sampled_head(exchange: "Exchange", begin: bytes, lines: bytes) -> bytes:
    """The same for a request that leaves spans."""
    trace, request_id = exchange.id.hex().encode(), exchange.request_id_bytes
    exchange.trace_id = marked(trace, monotonic_ns() - exchange.begun_ns)
    return _KNOWN_SAMPLED % (begin, lines, trace, trace[16:], request_id, request_id)


def known_request(request: ClientRequest) -> UpstreamRequest:
    """What is beside the head of `known_head`: the same for all requests like this one."""
    return UpstreamRequest(request.method, b"", [], 0)


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
    ours, goes_on = exchange.services.begin_trace(exchange, headers.traceparent_of(exchange.request))
    written = _fixed(exchange, origin, goes_on=goes_on)
    if upgrade:
        written += ((b"connection", b"upgrade"), (b"upgrade", upgrade))
    written += _changing(ours, exchange.request_id_bytes)
    return written


def _changing(traceparent: bytes, request_id: bytes) -> Headers:
    """What is another one in each request; `known_head` writes the same."""
    return [(b"traceparent", traceparent), (b"x-request-id", request_id), (b"x-pe-request-id", request_id)]


def _fixed(exchange: "Exchange", origin: "UpstreamSnapshot", *, goes_on: bool) -> Headers:
    """What is the same in each request with the same head from the same peer."""
    request, key = exchange.request, exchange.key
    host = next((value for name, value in request.headers if name == b"host"), b"")
    written: Headers = [(b"host", origin.host_header)]
    written += headers.to_upstream(request, exchange.key_bytes, trace_goes_on=goes_on)
    written += (
        (b"via", VIA),
        (b"x-pe-organization", key.organization_slug.encode()),
        (b"x-pe-key-id", str(key.id).encode()),
        (b"x-pe-plan", key.plan_slug.encode()),
        (b"x-real-ip", exchange.address.encode("ascii", "replace")),
    )
    direct = _direct if len(host) <= LONGEST_CACHED_HOST else _direct.__wrapped__
    written += direct(request.peer, host, request.scheme)
    if exchange.services.addresses.trusts(request):
        _continue_chain(request, written)
    return written


@lru_cache(4096)
def _direct(peer: str, host: bytes, scheme: str) -> tuple[tuple[bytes, bytes], ...]:
    """`Forwarded` (RFC 7239) and its older twins for a client that is no trusted proxy; replaces what it said itself."""
    parsed = parse_address(peer)
    node = peer.encode("ascii", "replace")
    quoted = b'"[%b]"' % node if parsed is not None and parsed.version == 6 else node
    # RFC 7239 wants a quoted string where a host has a port or brackets; the guard keeps quotes out of Host.
    named = b'"%b"' % host if not host.isalnum() else host
    return (
        (b"forwarded", b"for=%b;host=%b;proto=%b" % (quoted, named, scheme.encode())),
        (b"x-forwarded-for", node),
        (b"x-forwarded-proto", scheme.encode()),
        (b"x-forwarded-host", host),
    )


def _continue_chain(request: ClientRequest, written: Headers) -> None:
    """A trusted proxy's own chain goes on in front of ours, and its word for scheme and host counts."""
    for position, (name, ours) in enumerate(written):
        if name not in CHAINED and name not in REPLACED:
            continue
        for theirs, value in request.headers:
            if theirs == name:
                ours = b"%b, %b" % (value, ours) if name in CHAINED else value  # noqa: PLW2901
        written[position] = (name, ours)
