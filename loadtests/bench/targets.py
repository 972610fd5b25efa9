"""Targets of the design: what was wanted, what was measured, whether it held."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from loadtests.bench.contenders import BARE, FREE, NAIVE, NGINX_GATEWAY, OURS, UPSTREAM
from loadtests.bench.rounds import Round, Spread, added_latency, ratio


@dataclass(frozen=True, slots=True)
class Target:
    """One target with what was measured, None if nothing was; `at_least` tells which side of `bound` is good."""

    name: str
    meaning: str
    bound: float
    at_least: bool
    unit: str
    measured: Spread | None

    @property
    def held(self) -> bool:
        """Whether the median is on the good side. What was not measured did not hold."""
        if self.measured is None:
            return False
        return self.measured.middle >= self.bound if self.at_least else self.measured.middle <= self.bound

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "held": self.held}


def at_least(name: str, meaning: str, bound: float, unit: str, measured: Spread | float | None) -> Target:
    """A target that wants `bound` or more."""
    return Target(name, meaning, bound, at_least=True, unit=unit, measured=_spread(measured))


def at_most(name: str, meaning: str, bound: float, unit: str, measured: Spread | float | None) -> Target:
    """A target that wants `bound` or less."""
    return Target(name, meaning, bound, at_least=False, unit=unit, measured=_spread(measured))


def _spread(measured: Spread | float | None) -> Spread | None:
    return Spread(measured, measured, measured) if isinstance(measured, int | float) else measured


RATIOS = (
    ("B1", "policed / nginx as a gateway", 0.60, NGINX_GATEWAY),
    ("B2", "policed / bare pass-through", 0.80, BARE),
    ("price", "policed / the same without a price", 0.97, FREE),
    ("B3", "policed / Starlette + httpx", 40.0, NAIVE),
)


def speed_targets(rounds: Sequence[Round]) -> list[Target]:
    """B1 to B4, from the counted rounds."""
    measured = rounds[0].full
    found = [
        at_least(name, meaning, bound, "x", ratio(rounds, OURS, row) if row in measured else None)
        for name, meaning, bound, row in RATIOS
    ]
    p50 = added_latency(rounds, OURS, UPSTREAM, lambda run: run.p50_us)
    p99 = added_latency(rounds, OURS, UPSTREAM, lambda run: run.p99_us)
    for name, bound, added in (("B4 p50", 0.3, p50), ("B4 p99", 1.5, p99)):
        found.append(at_most(name, "added latency at concurrency 1", bound, "ms", added))
    return found
