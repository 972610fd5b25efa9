"""What a run leaves for the audit: what callers saw, what the upstream saw, what was killed. One JSON line each.

A body of a storm is a row of *marks*: 64 bytes with the organization and the caller's serial. So a byte of somebody
else's, a missing one and a doubled one are all seen, in both directions. Times are monotonic seconds of this machine.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

MARK_BYTES = 64
AGENT = "storm/"
T = TypeVar("T")


@dataclass(slots=True)
class Sighting:
    """One request as its caller saw it.

    `status` 0: no head came. `whole`: the answer ended well by HTTP's own rules. `cut`: how the end that did not come
    could be told. `aborted`: the phase in which the caller left. `wrong`: bytes that should not have been, or are
    missing without any sign. `hung`: it took longer than any request may. `code`: of a problem document.
    """

    serial: str
    kind: str
    organization: str
    key: str
    began: float
    ended: float = 0.0
    status: int = 0
    request_id: str = ""
    received: int = 0
    whole: bool = False
    cut: str = ""
    aborted: str = ""
    wrong: str = ""
    hung: bool = False
    code: str = ""


@dataclass(slots=True)
class Arrival:
    """One request as the upstream saw it; `wrong`: a body or a field that is not of the organization it came for."""

    request_id: str
    serial: str
    organization: str
    at: float
    wrong: str = ""


@dataclass(slots=True)
class Kill:
    """One SIGKILL, and when what was killed ran again."""

    at: float
    kind: str
    pid: int
    back: float = 0.0


@dataclass(slots=True)
class Evidence:
    """All of a run. `limits`: the most that each organization with an hourly limit may have admitted in an hour."""

    sightings: list[Sighting] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    limits: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> "Evidence":
        """Read what the processes of a run wrote."""
        limits = folder / "limits.json"
        return cls(
            list(_read(folder / "sightings.jsonl", Sighting)),
            list(_read(folder / "arrivals.jsonl", Arrival)),
            list(_read(folder / "kills.jsonl", Kill)),
            json.loads(limits.read_text()) if limits.exists() else {},
        )


def mark(organization: str, serial: str) -> bytes:
    """The 64 bytes that a body of this caller's request is made of."""
    return f"{organization} {serial}".ljust(MARK_BYTES - 1, ".").encode() + b"\n"


def write(file: IO[str], what: Any) -> None:
    """Append a line; it is whole in the file when this returns, also if its writer is killed then."""
    file.write(json.dumps(asdict(what)) + "\n")
    file.flush()


def _read(path: Path, kind: type[T]) -> Iterator[T]:
    if path.exists():
        with path.open() as file:
            for line in file:
                yield kind(**json.loads(line))
