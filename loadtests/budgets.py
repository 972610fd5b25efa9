"""Budgets against what a run measured."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

FILE = Path(__file__).with_name("budgets.toml")


@dataclass(frozen=True, slots=True)
class Budget:
    """One entry of budgets.toml. `per_hour` is None where no exact count is bought."""

    at_least: int
    p95_ms: float
    p99_ms: float
    errors: float
    statuses: tuple[int, ...]
    per_hour: int | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """One kind of request in a run. `unread`: answers that may have been on their way when it ended."""

    requests: int
    failures: int
    p95_ms: float
    p99_ms: float
    statuses: Mapping[int, int] = field(default_factory=dict)
    unread: int = 0


def load_budgets(section: str, file: Path = FILE) -> dict[str, Budget]:
    """Budgets of `locust` or `wrk`, by the name of the request."""
    return {
        name: Budget(**{**entry, "statuses": tuple(entry["statuses"])})
        for name, entry in tomllib.loads(file.read_text())[section].items()
    }


def hours_touched(began: datetime, ended: datetime) -> int:
    """How many hours of the clock (UTC) a run touched: each opens a new window of a limit per hour."""
    hour = {"minute": 0, "second": 0, "microsecond": 0}
    first, last = began.astimezone(UTC).replace(**hour), ended.astimezone(UTC).replace(**hour)  # type: ignore[arg-type]
    return round((last - first).total_seconds() / 3600) + 1


def passed(budgets: Mapping[str, Budget], measured: Mapping[str, Measured], hours: int = 1) -> list[str]:
    """Every budget that was passed, in words; empty is good. `hours`: how many windows of an hour the run touched."""
    found = []
    for name, budget in budgets.items():
        seen = measured.get(name, Measured(0, 0, 0.0, 0.0))
        errors = seen.failures / seen.requests if seen.requests else 0.0
        if seen.requests < budget.at_least:
            found.append(f"{name}: {seen.requests} requests, at least {budget.at_least} were wanted")
        if errors > budget.errors:
            found.append(f"{name}: {errors:.2%} wrong answers, budget {budget.errors:.2%}")
        for share, took, most in (("p95", seen.p95_ms, budget.p95_ms), ("p99", seen.p99_ms, budget.p99_ms)):
            if took > most:
                found.append(f"{name}: {share} {took:.0f} ms, budget {most:.0f} ms")
        strange = {status: count for status, count in seen.statuses.items() if status not in budget.statuses}
        if strange:
            found.append(f"{name}: answers that it should never get: {strange}")
        if budget.per_hour is not None:
            found += _miscounted(name, budget.per_hour, seen, hours)
    return found


def _miscounted(name: str, per_hour: int, seen: Measured, hours: int) -> list[str]:
    good = seen.statuses.get(200, 0)
    if good > per_hour * hours:
        return [f"{name}: {good} answers of 200, {per_hour} an hour are bought"]
    # An answer that was refused says that the window was full: then nothing of it may have been withheld.
    if hours == 1 and seen.statuses.get(429, 0) and good < per_hour - seen.unread:
        return [f"{name}: refused with {good} answers of 200, {per_hour} an hour are bought"]
    return []
