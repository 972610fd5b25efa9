"""Figures of usage: sums that may be added up, and percentiles drawn from their histogram of latencies."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from domain.histogram import BUCKETS, added, percentile

CLASSES = 6
"""Status classes: 1xx to 5xx, and 0 for whatever else."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Requests with what came of them. Bytes as callers see them, cost in micro-credits.

    `errors` are answers from 400 on and those that did not come whole, `refused` those of them that we refused ourselves.
    `by_class` and `refused_by_class` count requests by status class.
    """

    requests: int = 0
    errors: int = 0
    refused: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    cost_micro: int = 0
    by_class: tuple[int, ...] = (0,) * CLASSES
    refused_by_class: tuple[int, ...] = (0,) * CLASSES
    latency: list[int] = field(default_factory=list)

    @property
    def p50_us(self) -> int | None:
        """Median of the whole time, as callers waited, in microseconds; None without requests."""
        return self._latency(0.50)

    @property
    def p95_us(self) -> int | None:
        """95 of 100 took no longer."""
        return self._latency(0.95)

    @property
    def p99_us(self) -> int | None:
        """99 of 100 took no longer."""
        return self._latency(0.99)

    @property
    def succeeded(self) -> int:
        """Answers below 400."""
        return sum(self.by_class[1:4])

    @property
    def client_errors(self) -> int:
        """Answers of 400 to 499 that came from upstream."""
        return self.by_class[4] - self.refused_by_class[4]

    @property
    def failures(self) -> int:
        """Answers from 500 on that we did not give ourselves as a refusal, and those without a status."""
        return self.requests - self.succeeded - self.client_errors - self.refused

    @property
    def error_share(self) -> float | None:
        """Errors of all requests, 0 to 1; None without requests."""
        return self.errors / self.requests if self.requests else None

    def _latency(self, share: float) -> int | None:
        found = percentile(self.latency, share)
        return None if found is None else round(found)


def total(parts: Iterable[Figures]) -> Figures:
    """All of them together."""
    listed = list(parts)
    latency = [0] * BUCKETS
    for part in listed:
        latency = added(latency, part.latency)
    sums = {
        name: sum(getattr(part, name) for part in listed)
        for name in ("requests", "errors", "refused", "bytes_in", "bytes_out", "cost_micro")
    }
    return Figures(
        **sums,
        by_class=tuple(sum(part.by_class[place] for part in listed) for place in range(CLASSES)),
        refused_by_class=tuple(sum(part.refused_by_class[place] for part in listed) for place in range(CLASSES)),
        latency=latency,
    )


def change(now: float | None, before: float | None) -> float | None:
    """By what share a figure changed, 0.5 for half as much again; None if there is nothing to compare with."""
    if now is None or not before:
        return None
    return now / before - 1
