"""Where a page of a long list ended: the last row's time and id, as one opaque text."""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.faults import NotFound

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The next page begins after this row, in the order (at, id) descending."""

    at: datetime
    id: UUID

    def __str__(self) -> str:
        micros = (self.at - _EPOCH) // timedelta(microseconds=1)
        return base64.urlsafe_b64encode(micros.to_bytes(8, "big", signed=True) + self.id.bytes).decode()


def parse_cursor(text: str | None) -> Cursor | None:
    """The cursor of a text that `str(cursor)` made; None for none. Raises NotFound."""
    if not text:
        return None
    try:
        packed = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        micros, key = int.from_bytes(packed[:8], "big", signed=True), UUID(bytes=packed[8:])
        return Cursor(_EPOCH + timedelta(microseconds=micros), key)
    except (ValueError, binascii.Error, OverflowError):
        raise NotFound("The cursor is not one that a page gave. Begin with the first page again.") from None
