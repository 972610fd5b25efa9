"""Heads of upstream answers, read strictly: what a lenient parser would repair is here a broken answer.

A head is checked with a handful of C-speed bytes operations instead of a parser's callbacks, because llhttp joins folded
lines, takes a bare LF and hides duplicates: exactly what decides where an answer ends, and so who reads the next one.
"""

from dataclasses import dataclass

from gateway.ends import AnswerHead, Headers

CRLF = b"\r\n"
TOKEN_BYTES = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
# What may stand inside a line (RFC 9110 5.5): visible ASCII, space, tab, obs-text.
LINE_BYTES = bytes([9, *range(32, 127), *range(128, 256)])

_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"connection", b"keep-alive"))
_MAX_LENGTH_DIGITS = 18
# What upstreams send again and again is checked once. Both are bounded, in entries and in bytes of each.
_MAX_LEARNED = 4_096
_MAX_LEARNED_BYTES = 64
_names: dict[bytes, bytes] = {}
_status_lines: dict[bytes, tuple[int, int]] = {}


class BrokenAnswer(Exception):  # noqa: N818 - names what it is, as the refusals do
    """The upstream's bytes are not an answer that may be passed on. The text is for the operator, never for a client."""


@dataclass(slots=True)
class ParsedHead(AnswerHead):
    """One head. `length` is the announced one (None without), `persistent` whether the upstream keeps the connection.

    `idle_seconds` is what `Keep-Alive: timeout=` promises, 0 if it doesn't say. `follows` is the number of body bytes
    that must follow, -1 where only a closer look tells: 1xx, 204, 304, chunked, until close.
    """

    chunked: bool = False
    persistent: bool = False
    idle_seconds: int = 0
    follows: int = -1


def parse_head(raw: bytes) -> ParsedHead:
    """Read a head, given without its final empty line. Raises BrokenAnswer for whatever is not plain RFC 9112."""
    lines = raw.split(CRLF)
    # Of an honest head exactly the line ends remain; a bare CR or LF makes it longer, any other control shows itself.
    if raw.translate(None, LINE_BYTES) != CRLF * (len(lines) - 1):
        raise BrokenAnswer("control character, bare CR or bare LF in the head")
    status, minor = _status_lines.get(lines[0]) or _read_status_line(lines[0])
    headers: Headers = []
    framing: Headers = []
    names = _names
    each = iter(lines)
    next(each)
    for line in each:
        name, colon, value = line.partition(b":")
        lower = names.get(name) or _read_name(name)
        if not colon:
            raise BrokenAnswer("header line without a colon")
        pair = (lower, value.strip(b" \t"))
        headers.append(pair)
        if lower in _FRAMING:
            framing.append(pair)
    return _framed(status, minor, headers, framing)


def _framed(status: int, minor: int, headers: Headers, framing: Headers) -> ParsedHead:
    length: int | None = None
    chunked = False
    persistent = minor == 1
    idle_seconds = 0
    for name, value in framing:
        if name == b"content-length":
            announced = _read_length(value)
            if length is not None and length != announced:
                raise BrokenAnswer("two different Content-Length")
            length = announced
        elif name == b"transfer-encoding":
            if chunked or minor == 0 or value.lower() != b"chunked":
                raise BrokenAnswer("Transfer-Encoding that is not one plain chunked")
            chunked = True
        elif name == b"connection":
            if value != b"keep-alive" and b"close" in tokens(value):
                persistent = False
        else:
            idle_seconds = _read_keep_alive(value)
    if chunked and length is not None:
        raise BrokenAnswer("Content-Length beside Transfer-Encoding")
    follows = length if length is not None and status >= 200 and status not in {204, 304} else -1
    return ParsedHead(status, headers, length, None, chunked, persistent, idle_seconds, follows)


def tokens(value: bytes) -> list[bytes]:
    """The members of a comma-separated header, in lower case."""
    return [token.strip(b" \t") for token in value.lower().split(b",")]


def _read_status_line(line: bytes) -> tuple[int, int]:
    version, code = line[:9], line[9:12]
    if version not in {b"HTTP/1.1 ", b"HTTP/1.0 "} or not code.isdigit() or line[12:13] not in {b"", b" "}:
        raise BrokenAnswer("not a status line")
    status = int(code)
    if len(code) != 3 or not 100 <= status <= 599:
        raise BrokenAnswer("status outside 100 to 599")
    known = (status, version[7] - 48)
    if len(line) <= _MAX_LEARNED_BYTES and len(_status_lines) < _MAX_LEARNED:
        _status_lines[line] = known
    return known


def _read_name(name: bytes) -> bytes:
    if not name or name.translate(None, TOKEN_BYTES):
        raise BrokenAnswer("header name that is not a token (a fold, or a space before the colon)")
    lower = name.lower()
    if len(name) <= _MAX_LEARNED_BYTES and len(_names) < _MAX_LEARNED:
        _names[name] = lower
    return lower


def _read_length(value: bytes) -> int:
    if not value.isdigit() or len(value) > _MAX_LENGTH_DIGITS:
        raise BrokenAnswer("malformed Content-Length")
    return int(value)


def _read_keep_alive(value: bytes) -> int:
    for token in tokens(value):
        name, _, seconds = token.partition(b"=")
        if name == b"timeout" and seconds.isdigit() and len(seconds) < 6:
            return int(seconds)
    return 0
