"""Latency histograms in fixed buckets, so that counts of any two may be added and any percentile drawn.

64 buckets, log-linear: bucket 0 is below 50 us; buckets 1 to 62 grow by the constant ratio `(100 s / 50 us) ** (1/62)`,
which is 1.2637; bucket 63 is 100 s and more. A percentile is right within one bucket: at most 26.4 % above the exact
value and never below it by more than that, for values between 50 us and 100 s.
"""

from bisect import bisect_right
from collections.abc import Sequence

BUCKETS = 64
SMALLEST_US = 50
LARGEST_US = 100_000_000

RATIO = (LARGEST_US / SMALLEST_US) ** (1 / (BUCKETS - 2))
EDGES_US: tuple[int, ...] = tuple(round(SMALLEST_US * RATIO**step) for step in range(BUCKETS - 1))
"""Bucket i holds `EDGES_US[i-1] <= value < EDGES_US[i]`; the first and the last are open."""


def bucket_of(microseconds: int) -> int:
    """The index of the bucket for a latency."""
    return bisect_right(EDGES_US, microseconds)


def percentile(counts: Sequence[int], share: float) -> float | None:
    """The latency in microseconds below which `share` (0..1) of the requests lie; None without requests.

    Interpolated within its bucket. The last bucket is open, so that its answer is LARGEST_US: "at least".
    """
    total = sum(counts)
    if not total:
        return None
    rank, below = min(max(share, 0.0), 1.0) * total, 0
    for index, count in enumerate(counts):
        if count and below + count >= rank:
            if index >= BUCKETS - 1:
                return float(LARGEST_US)
            low = EDGES_US[index - 1] if index else 0
            return low + (EDGES_US[index] - low) * max(rank - below, 0.0) / count
        below += count
    return float(LARGEST_US)


def added(left: Sequence[int], right: Sequence[int]) -> list[int]:
    """The sum of two histograms. A shorter one is taken as if zeros followed."""
    longer, shorter = (left, right) if len(left) >= len(right) else (right, left)
    total = list(longer)
    for index, count in enumerate(shorter):
        total[index] += count
    return total
