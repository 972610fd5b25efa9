"""Request heads out of a byte stream: collected until the empty line, bounded, then through the guard."""

from gateway.server import guard
from gateway.server.fields import FieldParser


class HeadReader:
    """One connection's heads. After a refusal it must not be fed again."""

    __slots__ = ("_fields", "_rules", "_scanned", "_skipped_line", "held")

    def __init__(self, rules: guard.GuardRules) -> None:
        self._rules = rules
        self._fields = FieldParser()
        self._scanned = 0
        self._skipped_line = False
        self.held = b""

    def is_fresh(self) -> bool:
        """Whether the next byte is the first of a head."""
        return not self.held and not self._skipped_line

    def feed(self, data: bytes) -> tuple[guard.RequestHead, bytes] | None:
        """The request and the bytes behind its head, or None while the head is not whole. Raises a refusal."""
        raw = self.held + data if self.held else data
        if raw.startswith(guard.CRLF) and not self._skipped_line:
            # Some old clients put an empty line behind a body; one is ignored (RFC 9112 2.2).
            self._skipped_line, raw, self._scanned = True, raw[2:], 0
        self.held = raw
        end = raw.find(guard.HEAD_END, max(0, self._scanned - 3) if self._scanned else 0) + 4
        if end < 4:
            self._scanned = guard.check_partial(raw, self._scanned, self._rules)
            return None
        rest = b""
        if end < len(raw):
            raw, rest = raw[:end], raw[end:]
        head = guard.read_head(raw, self._fields, self._rules)
        self.held, self._scanned, self._skipped_line = b"", 0, False
        return head, rest

    def is_head_request(self) -> bool:
        """Whether the refused request is a HEAD, whose answer has no body."""
        return self.held[:5] == b"HEAD "
