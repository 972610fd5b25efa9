"""What workers write down of every admission, so that it survives them: fixed records appended to one file.

A worker cannot know the very moment of a decision, only that it lay between `began` and `ended`: what counts as a
breach must be one for every moment between the two.
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

_RECORD = struct.Struct("=dddiiii")


@dataclass(frozen=True, slots=True)
class Admission:
    """One admitted request: world time, and how far off the server's clock was.

    With `kind` DONE the end of one; UNCHARGED: what it took of spend caps was given back.
    """

    began: float
    ended: float
    step: float
    kind: int
    worker: int
    bucket: int
    number: int


ADMITTED, DONE, UNCHARGED = 0, 1, 2


class Log:
    """Appends whole records, from many processes at once."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)

    def write(self, entry: Admission) -> None:
        os.write(
            self._file,
            _RECORD.pack(entry.began, entry.ended, entry.step, entry.kind, entry.worker, entry.bucket, entry.number),
        )

    def close(self) -> None:
        os.close(self._file)


def read(path: Path) -> list[Admission]:
    """Everything that was written so far."""
    data = path.read_bytes() if path.exists() else b""
    return [Admission(*record) for record in _RECORD.iter_unpack(data)]
