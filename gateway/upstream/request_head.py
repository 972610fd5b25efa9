"""The bytes of a request's head. Framing is written here and nowhere else."""

from operator import itemgetter

from gateway.ends import Headers, UpstreamRequest
from gateway.upstream.answer_head import CRLF, LINE_BYTES, TOKEN_BYTES

_TARGET_BYTES = bytes(range(0x21, 0x7F))
_BODY_EXPECTED = frozenset((b"POST", b"PUT", b"PATCH"))
_OURS = frozenset((b"content-length", b"transfer-encoding"))
_MAX_LEARNED = 4_096
_MAX_LEARNED_BYTES = 64
_first = itemgetter(0)
_names: set[bytes] = set()
_methods: set[bytes] = set()


def request_head(request: UpstreamRequest) -> bytes:
    """The head with its final empty line. Raises ValueError for what could smuggle: then nothing may be sent.

    `Expect` is never written: the client's side answers it itself. `connection: upgrade` and `upgrade` are added to a
    request that asks for an upgrade and doesn't carry them.
    """
    method, target, headers = request.method, request.target, request.headers
    if method not in _methods:
        _learn_method(method)
    if target[:1] not in {b"/", b"*"} or target.translate(None, _TARGET_BYTES):
        raise ValueError("request target is not origin-form in visible ASCII")
    if not _names.issuperset(map(_first, headers)):
        headers = _check_names(headers)
    if request.upgrade:
        headers = _with_upgrade(headers, request.upgrade)
    block = CRLF.join(map(b": ".join, headers))
    # Of honest lines exactly the line ends that were just put in remain.
    if block.translate(None, LINE_BYTES) != CRLF * (len(headers) - 1):
        raise ValueError("control character in a request header")
    end = b"\r\n\r\n" if headers else CRLF
    return b"%b %b HTTP/1.1\r\n%b%b%b" % (method, target, _framing(request), block, end)


def _framing(request: UpstreamRequest) -> bytes:
    body = request.body
    if body is None:
        return b"transfer-encoding: chunked\r\n"
    if body or request.method in _BODY_EXPECTED:
        return b"content-length: %d\r\n" % body
    return b""


def _learn_method(method: bytes) -> None:
    if not method or method.translate(None, TOKEN_BYTES):
        raise ValueError("method is not a token")
    if len(method) <= _MAX_LEARNED_BYTES and len(_methods) < _MAX_LEARNED:
        _methods.add(method)


def _check_names(headers: Headers) -> Headers:
    """Check names that are not known yet; returns the headers without Expect."""
    for name, _ in headers:
        if name in _OURS:
            raise ValueError("framing header in a request: the connection writes those")
        if not name or name.translate(None, TOKEN_BYTES) or name != name.lower():
            raise ValueError("header name is not a lower-case token")
        if name != b"expect" and len(name) <= _MAX_LEARNED_BYTES and len(_names) < _MAX_LEARNED:
            _names.add(name)
    return [pair for pair in headers if pair[0] != b"expect"]


def _with_upgrade(headers: Headers, protocol: bytes) -> Headers:
    present = {name for name, _ in headers}
    if b"upgrade" in present:
        return headers
    kept = [pair for pair in headers if pair[0] != b"connection"]
    return [*kept, (b"connection", b"upgrade"), (b"upgrade", protocol)]
