"""Targets B1 to B4 of the design, as ratios within one run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from loadtests.bench.contenders import BARE, NAIVE, NGINX_GATEWAY, OURS, UPSTREAM
from loadtests.bench.rounds import Round, Spread, added_latency, ratio


@dataclass(frozen=True, slots=True)
class Target:
    """One target with what was measured; `at_least` tells which side of `bound` is good."""

    name: str
    meaning: str
    bound: float
    at_least: bool
    unit: str
    measured: Spread

    @property
    def held(self) -> bool:
        """Whether the median is on the good side."""
        return self.measured.middle >= self.bound if self.at_least else self.measured.middle <= self.bound

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "held": self.held}


RATIOS = (
    ("B1", "policed / nginx as a gateway", 0.60, NGINX_GATEWAY),
    ("B2", "policed / bare pass-through", 0.80, BARE),
    ("B3", "policed / Starlette + httpx", 40.0, NAIVE),
)


def targets(rounds: Sequence[Round]) -> list[Target]:
    """Those whose rows were measured, from the counted rounds."""
    measured = rounds[0].full
    found = [
        Target(name, meaning, bound, at_least=True, unit="x", measured=ratio(rounds, OURS, row))
        for name, meaning, bound, row in RATIOS
        if row in measured
    ]
    p50 = added_latency(rounds, OURS, UPSTREAM, lambda run: run.p50_us)
    p99 = added_latency(rounds, OURS, UPSTREAM, lambda run: run.p99_us)
    for name, bound, added in (("B4 p50", 0.3, p50), ("B4 p99", 1.5, p99)):
        found.append(Target(name, "added latency at concurrency 1", bound, at_least=False, unit="ms", measured=added))
    return found
