"""The chunked coding, read strictly and to the byte: what lies behind the last chunk must be known exactly.

An own decoder, because a parser for whole messages skips empty lines between two answers: to us they are already a
sign that the connection is not clean.
"""

from collections.abc import Callable

from gateway.upstream.answer_head import CRLF, LINE_BYTES, BrokenAnswer

_HEX_DIGITS = b"0123456789abcdefABCDEF"
_MAX_SIZE_DIGITS = 15
_MAX_SIZE_LINE = 4_096
_MAX_LEARNED = 4_096
_MAX_LEARNED_DIGITS = 8
_sizes: dict[bytes, int] = {}
_SIZE, _DATA, _DATA_END, _TRAILER, _WHOLE = range(5)


class ChunkedBody:
    """Decoder of one body. Once `whole`, `extra` tells whether bytes followed. Trailers are checked, and told.

    `tell` gets a trailer's name, in lower case, and its value; without, they are dropped.
    """

    __slots__ = ("_at", "_data", "_held", "_left", "_state", "_tell", "_trailer_left", "extra", "whole")

    def __init__(self, max_trailer_bytes: int, tell: Callable[[bytes, bytes], None] | None = None) -> None:
        self._tell = tell
        self._data = self._held = b""
        self._at = 0
        self._state = _SIZE
        self._left = 0
        self._trailer_left = max_trailer_bytes
        self.whole = False
        self.extra = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the wire, return the body bytes in them (of several chunks joined). Raises BrokenAnswer."""
        if self._state == _DATA and len(data) <= self._left:
            self._left -= len(data)
            if not self._left:
                self._state = _DATA_END
            return data
        if self._state == _SIZE and not self._held:
            # One read, one chunk: what event streams are made of.
            line, _, rest = data.partition(CRLF)
            size = _sizes.get(line)
            if size is not None and len(rest) == size + 2 and rest.endswith(CRLF):
                return rest[:-2]
        self._data = self._held + data if self._held else data
        self._held = b""
        self._at = 0
        found: list[bytes] = []
        while self._state != _WHOLE and self._step(found):
            pass
        if self._state == _WHOLE:
            self.whole = True
            self.extra = self._at < len(self._data)
        self._data = b""
        return found[0] if len(found) == 1 else b"".join(found)

    def _step(self, found: list[bytes]) -> bool:
        """Read one piece; False if the rest of it has not come yet."""
        state = self._state
        if state == _DATA:
            return self._take_data(found)
        line = self._take_line()
        if line is None:
            return False
        if state == _DATA_END:
            if line:
                raise BrokenAnswer("chunk longer than its size")
            self._state = _SIZE
        elif state == _SIZE:
            self._left = _read_size(line)
            self._state = _DATA if self._left else _TRAILER
        else:
            self._take_trailer(line)
        return True

    def _take_data(self, found: list[bytes]) -> bool:
        piece = self._data[self._at : self._at + self._left]
        if piece:
            found.append(piece)
        self._at += len(piece)
        self._left -= len(piece)
        if self._left:
            return False
        self._state = _DATA_END
        return True

    def _take_line(self) -> bytes | None:
        at = self._at
        end = self._data.find(CRLF, at)
        limit = 0 if self._state == _DATA_END else _MAX_SIZE_LINE if self._state == _SIZE else self._trailer_left
        if end < 0:
            rest = self._data[at:]
            # One more for the CR that may be the last byte so far.
            if len(rest) > limit + 1 or b"\n" in rest or (limit == 0 and rest not in {b"", b"\r"}):
                raise BrokenAnswer("chunk framing without a line end")
            self._held = rest
            return None
        if end - at > limit:
            raise BrokenAnswer("chunk framing line too long")
        self._at = end + 2
        return self._data[at:end]

    def _take_trailer(self, line: bytes) -> None:
        if not line:
            self._state = _WHOLE
            return
        if b":" not in line or line.translate(None, LINE_BYTES):
            raise BrokenAnswer("malformed trailer")
        self._trailer_left -= len(line) + 2
        if self._trailer_left < 0:
            raise BrokenAnswer("trailers too large")
        if self._tell is not None:
            name, _, value = line.partition(b":")
            self._tell(name.lower(), value.strip(b" \t"))


def _read_size(line: bytes) -> int:
    """The size that a line announces; plain ones are remembered, but not the last chunk's."""
    size, _, extension = line.partition(b";")
    if not size or len(size) > _MAX_SIZE_DIGITS or size.translate(None, _HEX_DIGITS):
        raise BrokenAnswer("bad chunk size")
    if extension and extension.translate(None, LINE_BYTES):
        raise BrokenAnswer("control character in a chunk extension")
    number = int(size, 16)
    if number and len(line) <= _MAX_LEARNED_DIGITS and len(_sizes) < _MAX_LEARNED:
        _sizes[line] = number
    return number
