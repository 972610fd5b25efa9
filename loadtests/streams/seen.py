"""What a reader of event streams saw, in figures."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

STALL_NS = 40_000_000
"""An event that comes later than two periods after it was sent has stalled its stream."""
TOLERANCE = 1.05


@dataclass(frozen=True, slots=True)
class Seen:
    """Latencies in milliseconds, from the upstream's write of an event to the reader's read.

    `late`: the upstream did not keep its pace, so that the run says little. `wrong`: what went wrong with streams, with
    counts. `stalled`: streams with at least one stalled event. `reader`: share of a core that reading took.
    """

    streams: int
    events: int
    expected: int
    seconds: float
    late: bool
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    stalls: int
    stalled: int
    reader: float
    wrong: dict[str, int]

    @property
    def whole(self) -> bool:
        """Every stream came to its end with every event."""
        return not self.wrong and self.events == self.expected

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def figures(
    latencies: Sequence[int], *, streams: int, events: int, expected: int, seconds: float, pace: float,
    stalled: Sequence[int], reader: float, wrong: Sequence[str | None],
) -> Seen:  # fmt: skip
    """From single latencies in nanoseconds, and per stream its stalls and what was wrong."""
    ordered = sorted(latencies)
    faults: dict[str, int] = {}
    for fault in filter(None, wrong):
        faults[fault] = faults.get(fault, 0) + 1
    return Seen(
        streams, events, expected, round(seconds, 2), late=seconds > pace * TOLERANCE + 1,
        p50_ms=at_share(ordered, 0.50), p99_ms=at_share(ordered, 0.99), p999_ms=at_share(ordered, 0.999),
        max_ms=at_share(ordered, 1.0), stalls=sum(stalled), stalled=sum(count > 0 for count in stalled), reader=reader, wrong=faults,
    )  # fmt: skip


def at_share(ordered: Sequence[int], share: float) -> float:
    """Milliseconds below which `share` of the sorted nanoseconds lie; 0 without any."""
    if not ordered:
        return 0.0
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1e6, 4)
