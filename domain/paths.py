"""One canonical form of a request path, on which every policy decides, while the raw bytes go upstream.

So two things must hold: whatever an upstream may read as the same resource has one canonical form, and whatever an
upstream may read as another resource than we do is refused. An escape that stands for a character which may stand
plain in a path is decoded (`%61`, but `%3A` too: frameworks decode it, and a price must not hang on the spelling);
one that may not stand plain is kept with upper-case digits; a visible character outside the grammar is escaped.
Escapes are decoded once: `%252e` stays, as text. Raw and canonical path always have the same slashes.
"""

from domain.refusals import MalformedRequest

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_PLAIN = _UNRESERVED + b"!$&'()*+,;=:@"
_PLAIN_AND_SLASH = _PLAIN + b"/"
_TOLERATED = b'"<>[]^`{|}'
"""Outside the grammar, yet sent by real clients and read alike by every upstream."""

_REFUSED_ESCAPES = frozenset({0x00, 0x2F, 0x5C})
_HEX = "0123456789abcdefABCDEF"
_ESCAPES = {
    f"{high}{low}".encode(): (
        b"" if value in _REFUSED_ESCAPES else bytes((value,)) if value in _PLAIN else b"%%%02X" % value
    )
    for high in _HEX
    for low in _HEX
    for value in (int(high + low, 16),)
}
"""What follows `%` -> its canonical form; empty for an escape that is refused."""

_OVERLONG = (b"%C0%", b"%C1%", b"%E0%80%", b"%E0%81%", b"%F0%80%")
"""Never valid UTF-8, but read as `.`, `/` or `\\` by decoders that do not check."""

_BLANKS = tuple(b"%%%02X" % value for value in (*range(1, 0x21), 0x7F))
"""Escaped blanks and controls, which some upstreams trim from a segment before they look for dots."""


def canonical_path(raw: bytes) -> bytes:
    """The canonical form of `raw`, a request's path without its query. Idempotent; keeps case and trailing slash.

    Raises MalformedRequest for dot segments (plain, escaped, with `;parameters`, beside escaped blanks), `//`, a
    backslash, `%2f`, `%5c`, `%00`, overlong UTF-8, broken escapes, a fragment, blanks, controls, non-ASCII bytes, and
    a path that does not begin with a slash.
    """
    if not raw.startswith(b"/"):
        raise MalformedRequest("The request target must be a path that begins with a slash.")
    if b"//" in raw:
        raise MalformedRequest("The path has an empty segment: two slashes in a row.")
    rest = raw.translate(None, _PLAIN_AND_SLASH)
    if not rest:
        if b"/." in raw:
            _refuse_dot_segments(raw)
        return raw
    return _spelled_out(raw, rest)


def _spelled_out(raw: bytes, odd: bytes) -> bytes:
    foreign = odd.replace(b"%", b"")
    if foreign:
        if foreign.translate(None, _TOLERATED):
            raise MalformedRequest("The path has a character that must not stand in it unescaped.")
        for value in set(foreign):
            raw = raw.replace(bytes((value,)), b"%%%02X" % value)
    path = _decoded_once(raw)
    if any(form in path for form in _OVERLONG):
        raise MalformedRequest("The path has an escape that is not valid UTF-8.")
    if b"/." in path or b"/%" in path:
        _refuse_dot_segments(path)
    return path


def _decoded_once(raw: bytes) -> bytes:
    first, *parts = raw.split(b"%")
    pieces = [first]
    for part in parts:
        piece = _ESCAPES.get(part[:2])
        if piece is None:
            raise MalformedRequest("The path has a % that is not followed by two hexadecimal digits.")
        if not piece:
            raise MalformedRequest("The path must not have %2F, %5C or %00.")
        pieces.append(piece)
        pieces.append(part[2:])
    return b"".join(pieces)


def _refuse_dot_segments(path: bytes) -> None:
    for segment in path.split(b"/"):
        bare = segment.partition(b";")[0]
        if b"%" in bare:
            for blank in _BLANKS:
                bare = bare.replace(blank, b"")
        if bare in {b".", b".."}:
            raise MalformedRequest("The path has a dot segment.")
