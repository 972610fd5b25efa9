"""What the record of a sampled request says of its trace, behind the trace's id and in the same text of the record.

    trace id, 32 hex digits | how long it was decided, microseconds, 8 hex digits | parent span, 16 hex digits, or nothing

A request that is not sampled, and every request while traces are off, has the id alone: its record is the same as ever,
and so is the way to it. Readers of the request log take the first TRACE_ID_LENGTH characters.

Our spans need no room: both are the random half of the request's id, each with two bits of its own in front, where a
UUID has its variant. So no two spans of a trace are the same, however many requests of ours it has.
"""

import sys
from typing import NamedTuple

from domain.journal.records import FIXED_BYTES, TRACE_ID_LENGTH

_WAIT_END = TRACE_ID_LENGTH + 8
_MOST_WAIT_US = 0xFFFF_FFFF
_LENGTH_AT = FIXED_BYTES - 1
"""The trace's text is the last of a record, and its length the last of the lengths, in one byte."""
_VARIANTS = 0b11 << 62
_UPSTREAM_AT = 96 + (7 if sys.byteorder == "little" else 0)
"""The byte with the sign of a record's `upstream_us`, which is negative without an upstream."""


class TraceMark(NamedTuple):
    """A mark read back. `wait_us` is from the request's head to the upstream's; `parent` is empty for the trace's root."""

    trace_id: bytes
    wait_us: int
    parent: bytes


def marked(trace_id: bytes, wait_ns: int, parent: bytes = b"") -> bytes:
    """The text for the record of a sampled request; ids are hexadecimal."""
    return b"%b%08x%b" % (trace_id, min(wait_ns // 1000, _MOST_WAIT_US), parent)


def is_marked(record: bytes) -> bool:
    """Whether its request is sampled, in the time of one look."""
    return record[_LENGTH_AT] > TRACE_ID_LENGTH


def read_mark(record: bytes) -> TraceMark | None:
    """The mark with its ids as bytes; None without one, or with one that is not whole."""
    length = record[_LENGTH_AT]
    text = record[-length:]
    if length not in {_WAIT_END, _WAIT_END + 16}:
        return None
    try:
        wait_us = int(text[TRACE_ID_LENGTH:_WAIT_END], 16)
        return TraceMark(_hex(text[:TRACE_ID_LENGTH]), wait_us, _hex(text[_WAIT_END:]))
    except ValueError:
        return None


def upstream_span(request_id: bytes) -> bytes:
    """The id of the span around the upstream's part: what its `traceparent` names. `request_id` is 16 bytes."""
    return request_id[8:]


def server_span(request_id: bytes) -> bytes:
    """The id of the span around the whole request."""
    return (int.from_bytes(request_id[8:]) ^ _VARIANTS).to_bytes(8)


def spans_of(record: bytes) -> int:
    """How many spans its request leaves, if it is sampled: the upstream's part is another one."""
    return 1 if record[_UPSTREAM_AT] & 0x80 else 2


def _hex(digits: bytes) -> bytes:
    return bytes.fromhex(digits.decode("ascii"))
