"""Which header fields cross the gateway, pure. Names are lower-case; order and duplicates are kept (G8).

Hop-by-hop fields (RFC 9110 7.6.1) and fields that `Connection` names never cross, in either direction; reserved
fields that a client sends are dropped before ours are added, so naming ours in `Connection` removes nothing.
"""

from collections.abc import Iterable

from gateway.ends import ClientRequest, Headers
from gateway.policies.confine_key import is_bearer

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer trailers"
    b" transfer-encoding upgrade http2-settings".split()
)
FRAMING = frozenset((b"content-length", b"expect", b"host"))
OURS = frozenset(
    (b"x-api-key", b"forwarded", b"x-real-ip", b"x-request-id", b"traceparent", b"x-original-url", b"x-rewrite-url")
)
RESERVED_PREFIXES = (b"x-pe-", b"x-forwarded-")
ANSWER_PREFIXES = (b"x-pe-", b"x-credits-")
NEVER_TO_UPSTREAM = HOP_BY_HOP | FRAMING | OURS

ANSWER_RESERVED = HOP_BY_HOP | {b"content-length", b"x-request-id"}
LEGACY_LIMIT = frozenset((b"x-ratelimit-limit", b"x-ratelimit-remaining", b"x-ratelimit-reset"))
_CORS = (b"access-control-",)


def connection_options(headers: Headers) -> frozenset[bytes]:
    """Field names that `Connection` lists, lower-case."""
    options: frozenset[bytes] = frozenset()
    for name, value in headers:
        if name == b"connection":
            options |= {option.strip(b" \t") for option in value.lower().split(b",")}
    return options


def traceparent_of(request: ClientRequest) -> bytes | None:
    """The caller's `traceparent`, None without one. Several are none that is valid: a trace has one parent."""
    found = None
    for name, value in request.headers:
        if name == b"traceparent":
            found = value if found is None else b""
    return found


def to_upstream(request: ClientRequest, key: bytes, *, trace_goes_on: bool) -> Headers:
    """The client's own fields that go on to the upstream, without any of ours."""
    named = connection_options(request.headers)
    kept: Headers = []
    for name, value in request.headers:
        if name in NEVER_TO_UPSTREAM or name in named or name.startswith(RESERVED_PREFIXES):
            continue
        if b"_" in name and _is_reserved_twin(name):
            continue
        if is_bearer(name, value, key):
            continue
        if name == b"tracestate" and not trace_goes_on:
            continue
        kept.append((name, value))
    return kept


def _is_reserved_twin(name: bytes) -> bool:
    """Whether some upstream would read the name, with `_` as `-`, as one of the fields above."""
    twin = name.replace(b"_", b"-")
    return twin in NEVER_TO_UPSTREAM or twin.startswith(RESERVED_PREFIXES)


def to_client(headers: Headers, *, replace: Iterable[bytes] = (), own_cors: bool = False) -> Headers:
    """The upstream's own fields that go back: all end-to-end ones, unchanged, but those that ours replace."""
    named = connection_options(headers)
    dropped = ANSWER_RESERVED.union(replace)
    return [
        (name, value)
        for name, value in headers
        if name not in dropped
        and name not in named
        and not name.startswith(ANSWER_PREFIXES)
        and not (own_cors and name.startswith(_CORS))
    ]
