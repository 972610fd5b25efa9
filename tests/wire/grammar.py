"""The bytes of HTTP/1.1 as RFC 9112 has them, without any of the leniency that a recipient is allowed."""

import re

Fields = list[tuple[str, str]]

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
FIELD_LINE = re.compile(
    rb"(" + TOKEN + rb"):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*"
)
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")
DIGITS = re.compile(r"[0-9]{1,19}")
HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~!$&'()*+,;=%]+)(?::[0-9]{0,5})?")


class MalformedError(Exception):
    """The bytes are outside the grammar; the text says where."""


def split_head(data: bytes) -> tuple[list[bytes], int] | None:
    """Lines of a head without their CR LF, and where its body begins; None while it has no end yet.

    A bare CR, a bare LF or a NUL is malformed as soon as it is seen.
    """
    end = data.find(b"\r\n\r\n")
    head = data if end < 0 else data[:end]
    lines = head.split(b"\r\n")
    if end < 0:
        lines[-1] = lines[-1].removesuffix(b"\r")
    for line in lines:
        for byte, name in ((b"\r", "bare CR"), (b"\n", "bare LF"), (b"\0", "NUL")):
            if byte in line:
                raise MalformedError(f"{name} in {line[:200]!r}")
    return None if end < 0 else (lines, end + 4)


def fields_of(lines: list[bytes]) -> Fields:
    """Field lines as (name, value): no fold, no space before the colon, no control byte."""
    fields: Fields = []
    for line in lines:
        match = FIELD_LINE.fullmatch(line)
        if match is None:
            raise MalformedError(f"field line {line[:200]!r}")
        fields.append((match[1].decode("ascii"), match[2].decode("latin-1")))
    return fields


def values(fields: Fields, name: str) -> list[str]:
    """Every value of one field name, in order."""
    return [value for key, value in fields if key.lower() == name]


def framing(fields: Fields) -> int | None:
    """Body length, None for chunked, -1 if neither is said. Both, twice, or another coding is malformed."""
    lengths, codings = values(fields, "content-length"), values(fields, "transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise MalformedError(f"more than one framing: {lengths + codings}")
    if codings:
        if codings[0].lower() != "chunked":
            raise MalformedError(f"transfer coding {codings[0]!r}")
        return None
    if lengths:
        if not DIGITS.fullmatch(lengths[0]):
            raise MalformedError(f"length {lengths[0]!r}")
        return int(lengths[0])
    return -1


def dechunk(data: bytes, start: int) -> tuple[bytes, Fields, int | None]:
    """Body so far, trailers, and where the body ends (None while it has not). Extensions are refused: nobody needs them."""
    body, at = bytearray(), start
    while True:
        end = data.find(b"\r\n", at)
        line = data[at : end if end >= 0 else at + 20]
        if end < 0:
            if line and not CHUNK_SIZE.fullmatch(line.removesuffix(b"\r")):
                raise MalformedError(f"chunk size {line!r}")
            return bytes(body), [], None
        if not CHUNK_SIZE.fullmatch(line):
            raise MalformedError(f"chunk size {line[:40]!r}")
        size = int(line, 16)
        if size == 0:
            return _trailers(data, end, body)
        body += data[end + 2 : end + 2 + size]
        at = end + 2 + size
        closing = data[at : at + 2]
        if not b"\r\n".startswith(closing):
            raise MalformedError(f"chunk of {size} bytes ends in {closing!r}")
        if len(closing) < 2:
            return bytes(body), [], None
        at += 2


def _trailers(data: bytes, end: int, body: bytearray) -> tuple[bytes, Fields, int | None]:
    """`end` is where the last chunk's line ends: the trailer section is a head without a start line."""
    if data[end + 2 : end + 4] == b"\r\n":
        return bytes(body), [], end + 4
    if len(data) < end + 4:
        return bytes(body), [], None
    split = split_head(data[end + 2 :])
    if split is None:
        return bytes(body), [], None
    lines, length = split
    return bytes(body), fields_of(lines), end + 2 + length


def as_text(start: str, fields: Fields, trailers: Fields) -> str:
    """Start line, fields and trailers in one plain form, for searching: `name: value` + CR LF."""
    return start + "\r\n" + "".join(f"{name}: {value}\r\n" for name, value in [*fields, *trailers])


def holds(text: str, needle: str) -> bool:
    """Whether `needle` is in `text`; case matters only if the needle has a capital letter."""
    return needle in (text if needle != needle.lower() else text.lower())
