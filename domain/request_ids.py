"""Request ids: UUIDs of version 7, so that they sort by time and a row is found by its id in one day's partition."""

import random
import time
from datetime import UTC, datetime
from struct import Struct
from uuid import UUID

_bits = random.SystemRandom().getrandbits
_random = random.Random(_bits(256)).getrandbits  # noqa: S311  an id has to be unique, not secret
_now = time.time_ns
_pack = Struct(">QQ").pack
_VERSION = 0x7 << 12
_VARIANT = 0b10 << 62
_LATEST_MS = 253_000_000_000_000
"""In the year 9987: Python's calendar ends soon after, the 48 bits do not."""


def new_raw_id() -> bytes:
    """A new id's 16 bytes: 48 bits of milliseconds, 12 bits of their fraction, 62 random bits (RFC 9562, 6.2 method 3).

    The two halves are made apart, because numbers of 64 bits cost half of those of 128.
    """
    milliseconds, rest = divmod(_now(), 1_000_000)
    return _pack(milliseconds << 16 | _VERSION | (rest << 12) // 1_000_000, _random(62) | _VARIANT)


def new_request_id() -> UUID:
    """A new id."""
    return UUID(bytes=new_raw_id())


def text_of(raw: bytes) -> bytes:
    """The 36 characters of an id."""
    digits = raw.hex().encode()
    return b"%b-%b-%b-%b-%b" % (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])


def time_of(request_id: UUID) -> datetime | None:
    """When an id was made, to the millisecond; None if it is not of version 7, or of no time of ours."""
    milliseconds = request_id.int >> 80
    if request_id.version != 7 or milliseconds >= _LATEST_MS:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
