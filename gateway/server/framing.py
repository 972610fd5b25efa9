"""Where a request body ends: by length, or by a strict reading of chunks. Pure; no I/O.

`feed(data)` returns the body bytes in it and, once the body is whole (`done`), what stands behind it.
"""

from typing import Protocol

from domain.refusals import BodyTooLarge, HeadersTooLarge, MalformedRequest
from gateway.server.guard import CRLF, HEX, PLAIN, TOKEN

MAX_CHUNK_LINE = 256
"""Bytes of a chunk's size with its extensions. Nobody needs extensions; unlimited ones are a known way to burn CPU."""
MAX_EXTENSION_BYTES = 16_384
"""Of one body together."""


class BodyReader(Protocol):
    """One request's body as it arrives."""

    done: bool

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Body bytes, and the bytes behind the body's end. Raises a refusal."""

    def left(self) -> int | None:
        """Bytes still to come; None if nobody knows."""


class LengthBody:
    """A body of announced length."""

    __slots__ = ("_left", "done")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See `BodyReader`."""
        size = len(data)
        if size < self._left:
            self._left -= size
            return data, b""
        body, rest = (data, b"") if size == self._left else (data[: self._left], data[self._left :])
        self._left = 0
        self.done = True
        return body, rest

    def left(self) -> int | None:
        """See `BodyReader`."""
        return self._left


_SIZE, _DATA, _DATA_END, _TRAILER = range(4)


class ChunkedBody:
    """A chunked body. Extensions and trailers are checked, bounded and dropped."""

    __slots__ = ("_extensions", "_held", "_left", "_max_body", "_max_trailer", "_state", "_total", "_trailer", "done")

    def __init__(self, max_body: int, max_trailer: int) -> None:
        """`max_body` 0 is no limit; `max_trailer` bounds the trailer section's bytes."""
        self._held = b""
        self._state = _SIZE
        self._left = 0
        self._total = self._extensions = self._trailer = 0
        self._max_body, self._max_trailer = max_body, max_trailer
        self.done = False

    def left(self) -> int | None:
        """See `BodyReader`."""
        return 0 if self.done else None

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See `BodyReader`."""
        if self._held:
            data, self._held = self._held + data, b""
        position, size = 0, len(data)
        pieces: list[bytes] = []
        while position < size and not self.done:
            if self._state == _DATA:
                end = min(size, position + self._left)
                pieces.append(data[position:end])
                self._left -= end - position
                position = end
                if not self._left:
                    self._state = _DATA_END
                continue
            taken = (self._chunk_end if self._state == _DATA_END else self._line)(data, position)
            if not taken:
                self._held = data[position:]
                position = size
            position += taken
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), data[position:]

    def _chunk_end(self, data: bytes, position: int) -> int:
        ending = data[position : position + 2]
        if not CRLF.startswith(ending):
            raise MalformedRequest("A chunk is longer than its size.")
        if len(ending) < 2:
            return 0
        self._state = _SIZE
        return 2

    def _line(self, data: bytes, position: int) -> int:
        """Take a size line or a trailer line; the bytes taken, 0 if the line is not whole yet."""
        limit = MAX_CHUNK_LINE if self._state == _SIZE else self._max_trailer - self._trailer
        end = data.find(CRLF, position, position + limit + 2)
        if end < 0:
            partial = data[position : position + limit + 2]
            if len(partial) > limit:
                raise HeadersTooLarge("A chunk's extensions or trailers are longer than this gateway accepts.")
            if partial.removesuffix(b"\r").translate(None, PLAIN):
                raise MalformedRequest("A chunk line has a control byte, a bare CR or a bare LF.")
            return 0
        line = data[position:end]
        if self._state == _SIZE:
            self._begin_chunk(line)
        else:
            self._trailer_line(line)
        return len(line) + 2

    def _begin_chunk(self, line: bytes) -> None:
        digits, _, extension = line.partition(b";")
        # Sixteen digits at the most, so no reader's integer overflows; no sign, prefix, underscore or space.
        if not digits or len(digits) > 16 or digits.translate(None, HEX) or extension.translate(None, PLAIN):
            raise MalformedRequest("A chunk's size line is not valid.")
        self._extensions += len(line) - len(digits)
        if self._extensions > MAX_EXTENSION_BYTES:
            raise HeadersTooLarge("The chunk extensions are longer than this gateway accepts.")
        self._left = int(digits, 16)
        self._total += self._left
        if self._left >= 1 << 62 or 0 < self._max_body < self._total:
            raise BodyTooLarge
        self._state = _DATA if self._left else _TRAILER

    def _trailer_line(self, line: bytes) -> None:
        if not line:
            self.done = True
            return
        self._trailer += len(line) + 2
        name, colon, value = line.partition(b":")
        if not colon or not name or name.translate(None, TOKEN) or value.translate(None, PLAIN):
            raise MalformedRequest("A trailer field is not valid.")


def body_reader(length: int | None, max_body: int, max_trailer: int) -> BodyReader:
    """The reader for an announced length (None: chunked)."""
    return ChunkedBody(max_body, max_trailer) if length is None else LengthBody(length)
