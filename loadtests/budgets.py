"""Budgets against what a run measured."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("budgets.toml")


@dataclass(frozen=True, slots=True)
class Measured:
    """One kind of request in a run."""

    requests: int
    failures: int
    p95_ms: float


def load_budgets(file: Path = FILE) -> dict[str, dict[str, float]]:
    """Budgets by the name of the request."""
    return {name: dict(budget) for name, budget in tomllib.loads(file.read_text()).items()}


def passed(budgets: Mapping[str, Mapping[str, float]], measured: Mapping[str, Measured]) -> list[str]:
    """Every budget that was passed, in words; empty is good."""
    found = []
    for name, budget in budgets.items():
        seen = measured.get(name, Measured(0, 0, 0.0))
        errors = seen.failures / seen.requests if seen.requests else 0.0
        if seen.requests < budget["at_least"]:
            found.append(f"{name}: {seen.requests} requests, at least {budget['at_least']:.0f} were wanted")
        if errors > budget["errors"]:
            found.append(f"{name}: {errors:.2%} wrong answers, budget {budget['errors']:.2%}")
        if seen.p95_ms > budget["p95_ms"]:
            found.append(f"{name}: p95 {seen.p95_ms:.0f} ms, budget {budget['p95_ms']:.0f} ms")
    return found
