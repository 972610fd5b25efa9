"""A strict reading of what a client got back on one connection."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.wire.grammar import Fields, MalformedError, as_text, dechunk, fields_of, framing, split_head, values

STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)")


@dataclass
class WireAnswer:
    """One answer. `whole` is False if its bytes ended too soon; `until_close` if only the end of the connection ends it."""

    status: int
    reason: str
    fields: Fields
    body: bytes = b""
    trailers: Fields = field(default_factory=list)
    whole: bool = False
    until_close: bool = False
    length: int = 0

    def values(self, name: str) -> list[str]:
        """Every value of one field."""
        return values(self.fields, name)

    def first(self, name: str) -> str:
        """The first value of one field, '' without."""
        return next(iter(self.values(name)), "")

    @property
    def interim(self) -> bool:
        """Whether it is a 1xx other than 101."""
        return self.status < 200 and self.status != 101

    @property
    def closes(self) -> bool:
        """Whether it says that the connection ends behind it."""
        listed = {part.strip().lower() for value in self.values("connection") for part in value.split(",")}
        return "close" in listed or self.until_close

    @property
    def text(self) -> str:
        """Status line, fields and trailers for searching."""
        return as_text(f"HTTP/1.1 {self.status} {self.reason}", self.fields, self.trailers)


@dataclass
class Transcript:
    """Everything that came back: interim and final answers in order, and what was wrong with the bytes ('' if nothing)."""

    interim: list[WireAnswer] = field(default_factory=list)
    final: list[WireAnswer] = field(default_factory=list)
    problem: str = ""
    rest: bytes = b""


def parse_answer(data: bytes, method: str, *, ended: bool) -> WireAnswer | None:
    """The answer that `data` begins with; None while its head is not whole. Raises MalformedError."""
    split = split_head(data)
    if split is None:
        return None
    lines, at = split
    line = STATUS_LINE.fullmatch(lines[0])
    if line is None:
        raise MalformedError(f"status line {lines[0][:200]!r}")
    answer = WireAnswer(int(line[1]), line[2].decode("latin-1"), fields_of(lines[1:]), length=at)
    length = framing(answer.fields)
    if answer.status < 200 or answer.status == 204:
        if length != -1:
            raise MalformedError(f"framing in a {answer.status}")
        answer.whole = True
    elif method == "HEAD" or answer.status == 304:
        answer.whole = True
    elif length is None:
        answer.body, answer.trailers, end = dechunk(data, at)
        if end is not None:
            answer.whole, answer.length = True, end
    elif length >= 0:
        answer.body = data[at : at + length]
        answer.whole = len(answer.body) == length
        answer.length = at + len(answer.body)
    else:
        answer.until_close, answer.body = True, data[at:]
        answer.whole, answer.length = ended, len(data)
    return answer


def read_answers(data: bytes, methods: Sequence[str] = (), *, ended: bool = False, reset: bool = False) -> Transcript:
    """All answers in `data`; `methods` of the requests in order (GET where the list ends).

    `ended`: the peer closed in order. `reset`: it broke off, so a body that only the end ends is not whole.
    """
    seen = Transcript()
    while data:
        index = len(seen.final)
        try:
            answer = parse_answer(data, methods[index] if index < len(methods) else "GET", ended=ended and not reset)
        except MalformedError as problem:
            seen.problem, seen.rest = str(problem), data
            return seen
        if answer is None:
            seen.problem, seen.rest = "half an answer's head", data
            return seen
        (seen.interim if answer.interim else seen.final).append(answer)
        if not answer.whole:
            return seen
        data = data[answer.length :]
        if answer.status == 101:
            seen.rest = data
            return seen
    return seen
