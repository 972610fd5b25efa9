"""What a request says in the fields of a cost formula, read so that no spelling lowers a price.

The upstream acts on the same bytes, and reads them by its own rules: names without regard to case, `page.size` or
`page_size[]` for `page_size`, `X_Size` or `X.Size` for `X-Size`, `;` for `&`, `%u0070` for `p`. So what some upstream may
read as the field, but is not exactly one plain number under exactly its name, is UNREADABLE; a default is only for what
is MISSING.
"""

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import unquote_to_bytes

from domain.cost_formula_parsing import LARGEST_FIELD, Field

Headers = Sequence[tuple[bytes, bytes]]
Asked = tuple[bytes, Headers, bytes, int | None]
"""A request: its query, its header fields with lower-case names, its canonical path behind the service's prefix, and the
announced length of its body, None if it is not announced.
"""
Reader = Callable[[Asked], int]
"""The field's number, or MISSING, or UNREADABLE; never raises."""

MISSING, UNREADABLE = -1, -2
MOST_PARTS = 500
"""Of a query that is searched part by part; nobody's time is for hostile ones."""

_LIKE = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ.+ ", b"abcdefghijklmnopqrstuvwxyz___")
_TWIN = bytes.maketrans(b"!#$%&'*+.^_`|~", b"-" * 14)
"""CGI-like upstreams read every sign in a header field's name alike."""
_AROUND = b" +?\t\r\n\v\f"
_ZERO = ord("0")


def reader(field: Field, parameters: Mapping[str, int]) -> Reader:
    """How a field is read; `parameters` has the places of the path's. Raises KeyError for one that it has not."""
    if field.source == "query":
        return _in_query(field.name.encode())
    if field.source == "header":
        return _in_headers(field.name.encode())
    if field.source == "path":
        return _in_path(parameters[field.name])
    return _announced if field.source == "bytes" else _of_the_answer


def plain_number(text: bytes) -> int:
    """A decimal number from 0 to LARGEST_FIELD without sign, blanks or leading zeros; all else is UNREADABLE."""
    if not text.isdigit() or len(text) > 10 or (text[0] == _ZERO and len(text) > 1):
        return UNREADABLE
    number = int(text)
    return number if number <= LARGEST_FIELD else UNREADABLE


def _of_the_answer(_: Asked) -> int:
    """No request says it (`domain.deliveries`)."""
    return UNREADABLE


def _announced(asked: Asked) -> int:
    body = asked[3]
    return UNREADABLE if body is None or body > LARGEST_FIELD else body


def _in_path(place: int) -> Reader:
    def read(asked: Asked) -> int:
        segments = asked[2].split(b"/", place + 2)
        if len(segments) <= place + 1 or not segments[place + 1]:
            return MISSING
        return plain_number(segments[place + 1])

    return read


def _in_headers(name: bytes) -> Reader:
    twin, size = name.translate(_TWIN), len(name)

    def read(asked: Asked) -> int:
        found = MISSING
        for said, value in asked[1]:
            if said == name:
                if found != MISSING:
                    return UNREADABLE
                found = plain_number(value)
            elif said == b"connection":
                # What `Connection` lists does not reach the upstream.
                if name in value.lower():
                    return UNREADABLE
            elif len(said) == size and said.translate(_TWIN) == twin:
                return UNREADABLE
        return found

    return read


def _in_query(name: bytes) -> Reader:
    like, begins, inner = name.translate(_LIKE), name + b"=", b"&" + name + b"="
    size = len(begins)

    def read(asked: Asked) -> int:
        query = asked[0]
        if b"%" in query:
            return _searched(query, name, like)
        seen = query.translate(_LIKE).count(like)
        if not seen:
            return MISSING
        if seen > 1:
            return _searched(query, name, like)
        if query.startswith(begins):
            begun = size
        else:
            begun = query.find(inner) + size + 1
            if begun <= size:
                return _searched(query, name, like)
        end = query.find(b"&", begun)
        return plain_number(query[begun:] if end < 0 else query[begun:end])

    return read


def _searched(query: bytes, name: bytes, like: bytes) -> int:
    """The same, part by part."""
    if like not in unquote_to_bytes(query).translate(_LIKE) and b"%u" not in query and b"%U" not in query:
        return MISSING
    if query.count(b"&") + query.count(b";") > MOST_PARTS:
        return UNREADABLE
    found = MISSING
    for part in query.split(b"&"):
        said, _, value = part.partition(b"=")
        if said == name:
            if found != MISSING:
                return UNREADABLE
            found = plain_number(value)
        elif _may_be(like, part, said):
            return UNREADABLE
    return found


def _may_be(like: bytes, part: bytes, said: bytes) -> bool:
    """Whether some upstream may find the name in a part of the query that does not begin with exactly it."""
    if b";" in part:
        return any(_is_like(like, piece.partition(b"=")[0]) for piece in part.split(b";"))
    return _is_like(like, said)


def _is_like(like: bytes, name: bytes) -> bool:
    if b"%" in name:
        if b"%u" in name.lower():
            return True
        name = unquote_to_bytes(name).partition(b"\0")[0]
    return name.strip(_AROUND).partition(b"[")[0].translate(_LIKE) == like
