"""A strict reading of request bytes: what an upstream that trusts nobody accepts."""

import re
from dataclasses import dataclass, field

from tests.wire.grammar import (
    HOST,
    TOKEN,
    Fields,
    MalformedError,
    as_text,
    dechunk,
    fields_of,
    framing,
    split_head,
    values,
)

REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") (/[\x21\x22\x24-\x7e]*) HTTP/1\.([01])")


@dataclass
class WireRequest:
    """One request; `length` counts all its bytes once it is `whole`, else those of its head."""

    method: str
    target: str
    version: str
    fields: Fields
    body: bytes = b""
    trailers: Fields = field(default_factory=list)
    whole: bool = False
    length: int = 0

    def values(self, name: str) -> list[str]:
        """Every value of one field."""
        return values(self.fields, name)

    @property
    def text(self) -> str:
        """Start line, fields and trailers for searching."""
        return as_text(f"{self.method} {self.target} HTTP/{self.version}", self.fields, self.trailers)


def parse_request(data: bytes) -> WireRequest | None:
    """The request that `data` begins with; None while its head is not whole. Raises MalformedError."""
    split = split_head(data)
    if split is None:
        return None
    lines, at = split
    line = REQUEST_LINE.fullmatch(lines[0])
    if line is None:
        raise MalformedError(f"request line {lines[0][:200]!r}")
    request = WireRequest(line[1].decode(), line[2].decode(), f"1.{line[3].decode()}", fields_of(lines[1:]), length=at)
    hosts = request.values("host")
    if len(hosts) != 1 or not HOST.fullmatch(hosts[0]):
        raise MalformedError(f"Host {hosts}")
    length = framing(request.fields)
    if length is None:
        if request.version == "1.0":
            raise MalformedError("chunked in HTTP/1.0")
        request.body, request.trailers, end = dechunk(data, at)
        if end is not None:
            request.whole, request.length = True, end
        return request
    size = max(length, 0)
    request.body = data[at : at + size]
    if len(data) >= at + size:
        request.whole, request.length = True, at + size
    return request


def parse_requests(data: bytes) -> tuple[list[WireRequest], bytes, str]:
    """All whole requests in `data`, the bytes behind them, and why reading stopped ('' if at the end).

    One empty line before a request is allowed (RFC 9112 2.2).
    """
    found: list[WireRequest] = []
    while data := data.removeprefix(b"\r\n"):
        try:
            request = parse_request(data)
        except MalformedError as problem:
            return found, data, str(problem)
        if request is None or not request.whole:
            return found, data, "not whole"
        found.append(request)
        data = data[request.length :]
    return found, b"", ""
