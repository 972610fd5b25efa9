"""Which request heads are let in. Pure: bytes in, a `RequestHead` or a refusal out; nothing is repaired.

Every rule stands here because some server reads the refused form differently from some other: two readings of one
request are how requests are smuggled, hosts are forged and caches are poisoned.
"""

from dataclasses import dataclass

from domain.refusals import (
    BodyTooLarge,
    ExpectationFailed,
    HeadersTooLarge,
    MalformedRequest,
    MethodNotAllowed,
    NotImplementedHere,
    UriTooLong,
    VersionNotSupported,
)
from gateway import headers as rules
from gateway.ends import Headers
from gateway.server.fields import FieldParser
from gateway.server.hosts import HostRule

CRLF = b"\r\n"
HEAD_END = b"\r\n\r\n"
PLAIN = bytes(code for code in range(256) if code == 9 or (code >= 32 and code != 127))
"""Bytes that may stand in a head beside CR LF pairs: visible ASCII, space, tab, obs-text."""
TARGET = bytes(range(33, 127)).replace(b"#", b"")
TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
HEX = b"0123456789ABCDEFabcdef"

BAD_LINES = "The head has a control byte, a bare CR or a bare LF."

METHODS = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"))
FORBIDDEN_METHODS = frozenset((b"TRACE", b"CONNECT"))
ALLOW = b", ".join(sorted(METHODS))

_CHECKED = frozenset((b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"upgrade"))
_ORDINARY = frozenset((b"x-api-key", b"authorization", b"user-agent", b"accept", b"accept-encoding", b"accept-language",
  b"cache-control", b"content-type", b"cookie", b"origin", b"referer", b"traceparent", b"idempotency-key", b"priority",
  b"sec-fetch-dest", b"sec-fetch-mode", b"sec-fetch-site", b"sec-ch-ua", b"x-forwarded-for", b"x-forwarded-proto"))  # fmt: skip
"""Names that no rule here looks at: most fields of most requests, sorted out at the speed of one look-up."""
_SAYS_NOTHING = frozenset(((b"connection", b"keep-alive"), (b"connection", b"Keep-Alive")))
_UNDERSCORE_TWINS = rules.NEVER_TO_UPSTREAM | {b"authorization", b"via", b"cookie"}


@dataclass(slots=True)
class RequestHead:
    """A head that passed. `body` is the announced length: 0 without a body, None when chunked."""

    method: bytes
    target: bytes
    version: str
    headers: Headers
    body: int | None = 0
    keep_alive: bool = True
    expect_continue: bool = False
    upgrade: bytes = b""


@dataclass(frozen=True, slots=True)
class GuardRules:
    """The guard's settings, as it needs them."""

    hosts: HostRule
    max_header_bytes: int
    max_headers: int
    max_body_bytes: int


def read_head(raw: bytes, fields: FieldParser, limits: GuardRules) -> RequestHead:
    """The request whose head is `raw`, which ends with its first CR LF CR LF. Raises a refusal."""
    if len(raw) > limits.max_header_bytes:
        raise too_large(raw, limits)
    lines = raw.count(b"\n")
    if lines - 2 > limits.max_headers:
        raise HeadersTooLarge("There are more header fields than this gateway accepts.")
    head = _request_line(raw[: raw.find(CRLF)])
    head.headers = fields.parse(raw)
    # llhttp refuses control bytes, folds and bare CR or LF. This does not depend on it: every line of the head is one
    # field that it saw, and as many CR as LF.
    if len(head.headers) != lines - 2 or raw.count(b"\r") != lines:
        raise MalformedRequest(BAD_LINES)
    _check_fields(head, limits)
    if head.body != 0:
        fields.forget()
    if head.body is not None and 0 < limits.max_body_bytes < head.body:
        raise BodyTooLarge
    return head


def check_partial(raw: bytes, start: int, limits: GuardRules) -> int:
    """Look at an unfinished head from `start` on; returns where to go on looking. Raises a refusal.

    What can't become a valid head is refused now: its end may never come.
    """
    if len(raw) > limits.max_header_bytes:
        raise too_large(raw, limits)
    end = len(raw) - raw.endswith(b"\r")
    fresh = raw[start:end]
    if len(fresh.translate(None, PLAIN)) != 2 * fresh.count(CRLF):
        raise MalformedRequest(BAD_LINES)
    return end


def too_large(raw: bytes, limits: GuardRules) -> HeadersTooLarge | UriTooLong:
    """414 if the request line alone is too long, else 431; however the bytes were cut into segments."""
    return HeadersTooLarge() if CRLF in raw[: limits.max_header_bytes] else UriTooLong()


def _request_line(line: bytes) -> RequestHead:
    """Exactly `METHOD SP origin-form SP HTTP/1.x`. Raises a refusal."""
    method, _, rest = line.partition(b" ")
    target, ending = rest[:-9], rest[-9:]
    if ending == b" HTTP/1.1":
        version = "1.1"
    elif ending == b" HTTP/1.0":
        version = "1.0"
    else:
        raise _bad_version(rest)
    if method not in METHODS:
        raise _bad_method(method)
    # Absolute-form, authority-form and `*` are for proxies that the client configured, which this is not; two
    # leading slashes are read as a host by URL libraries; a fragment never belongs on the wire.
    if target[:1] != b"/" or target[:2] == b"//" or target.translate(None, TARGET):
        raise MalformedRequest("The request target must be a path with an optional query, in visible ASCII.")
    return RequestHead(method, target, version, [], 0, version == "1.1")


def _bad_version(rest: bytes) -> MalformedRequest | VersionNotSupported:
    version = rest.rpartition(b" ")[2]
    major, dot, minor = version[5:].partition(b".")
    known = version in {b"HTTP/1.0", b"HTTP/1.1"}
    if version[:5] == b"HTTP/" and not known and dot and major.isdigit() and minor.isdigit() and len(version) == 8:
        return VersionNotSupported()
    return MalformedRequest("The request line is not `METHOD target HTTP/1.1`.")


def _bad_method(method: bytes) -> MalformedRequest | MethodNotAllowed | NotImplementedHere:
    if method in FORBIDDEN_METHODS:
        return MethodNotAllowed()
    if not method or method.translate(None, TOKEN):
        return MalformedRequest("The method is not a token.")
    return NotImplementedHere("This method is not known here; methods are case-sensitive.")


def _check_fields(head: RequestHead, limits: GuardRules) -> None:
    """Framing, Host, Connection, Expect, Upgrade, and names that only look harmless. Raises a refusal."""
    special = [field for field in head.headers if field[0] not in _ORDINARY and field not in _SAYS_NOTHING]
    if len(special) == 1 and special[0][0] == b"host":
        limits.hosts.check(special[0][1])
        return
    found: dict[bytes, list[bytes]] = {}
    for name, value in special:
        if name in _CHECKED:
            found.setdefault(name, []).append(value)
        elif b"_" in name:
            _check_underscore(name)
    hosts = found.get(b"host", ())
    if len(hosts) != 1 and (hosts or head.version == "1.1"):
        raise MalformedRequest("There must be exactly one Host field.")
    for host in hosts:
        limits.hosts.check(host)
    if b"content-length" in found or b"transfer-encoding" in found:
        _check_framing(head, found.get(b"content-length", []), found.get(b"transfer-encoding", []))
    # A 1.0 client's expectation is to be ignored (RFC 9110 10.1.1).
    if b"expect" in found and head.version == "1.1":
        if [value.lower() for value in found[b"expect"]] != [b"100-continue"]:
            raise ExpectationFailed
        head.expect_continue = head.body != 0
    if b"connection" in found:
        _apply_connection(head, b",".join(found[b"connection"]), found.get(b"upgrade", []))


def _check_framing(head: RequestHead, lengths: list[bytes], codings: list[bytes]) -> None:
    """One length or one `chunked`, never both: whoever picks the other one sees another request behind this one."""
    if len(lengths) + len(codings) > 1:
        raise MalformedRequest("The body's length is given more than once.")
    if lengths:
        head.body = _content_length(lengths[0])
        return
    if codings[0].lower() != b"chunked":
        raise NotImplementedHere("The only transfer coding that is understood is `chunked`, alone.")
    if head.version == "1.0":
        raise MalformedRequest("HTTP/1.0 has no transfer codings.")
    head.body = None


def _content_length(value: bytes) -> int:
    """Decimal digits only: signs, lists, spaces and leading zeros are read in more than one way."""
    if not value.isdigit() or len(value) > 18 or (value[:1] == b"0" and len(value) > 1):
        raise MalformedRequest("Content-Length is not a plain decimal number.")
    return int(value)


def _check_underscore(name: bytes) -> None:
    """CGI-like upstreams read `_` as `-`: such a name would stand for a field that is checked, replaced or dropped."""
    twin = name.replace(b"_", b"-")
    if twin in _UNDERSCORE_TWINS or twin.startswith(rules.RESERVED_PREFIXES):
        raise MalformedRequest("A header field's name is that of a reserved field, written with an underscore.")


def _apply_connection(head: RequestHead, options: bytes, upgrades: list[bytes]) -> None:
    listed = options.lower()
    if listed == b"keep-alive":
        return
    names = [option.strip(b" \t") for option in listed.split(b",")]
    if b"close" in names:
        head.keep_alive = False
    # Only WebSocket is passed on, and only where no body could be taken for the tunnel's first bytes.
    if b"upgrade" in names and [value.lower() for value in upgrades] == [b"websocket"] and head.version == "1.1":
        head.upgrade = b"websocket" if head.method == b"GET" and head.body == 0 else b""
