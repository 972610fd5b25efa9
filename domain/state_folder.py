"""The folder in which a node keeps what must survive its processes: can it be used at all?

A full disk is no reason here: journals say that themselves, and go on when there is room again.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

PARTS = ("journal", "leases")
"""What lies in it: journals of workers with the ingester's files, and lease books."""


def why_unusable(folder: Path) -> str:
    """In words, why nothing can be kept in `folder`; empty if it can. Makes what is missing."""
    for place in (folder / part for part in PARTS):
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            _try_writing(place)
        except OSError as fault:
            if fault.errno not in {errno.ENOSPC, errno.EDQUOT}:
                return f"{place}: {fault.strerror or fault}"
    return ""


def _try_writing(place: Path) -> None:
    probe = place / f"probe-{uuid4().hex}"
    try:
        os.close(os.open(probe, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    finally:
        with suppress(OSError):
            probe.unlink()
