"""The `Date` of our own answers (RFC 9110 6.6.1); an upstream's own passes unchanged."""

import time
from email.utils import formatdate

_last: tuple[int, bytes] = (0, b"")


def date_now() -> bytes:
    """The time now as HTTP writes it, made once a second."""
    global _last  # noqa: PLW0603  a cache of one value per process
    second = int(time.time())
    if second != _last[0]:
        _last = (second, formatdate(second, usegmt=True).encode())
    return _last[1]
