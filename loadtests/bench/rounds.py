"""Interleaved rounds, and what may be said of them: medians, ratios per round, spread.

Absolute figures drift with the machine, so rows are compared within a round only, and a round in which the
baseline itself was off is measured again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from statistics import median

from loadtests.bench.wrk import Run

OFF = 0.30
"""A round whose baseline is off its median by more than this share is not counted."""

Measure = Callable[[str], tuple[Run, Run | None]]
"""Runs one row at full concurrency and, where asked for, at concurrency 1."""


@dataclass(slots=True)
class Round:
    """One pass over all rows: full-load runs by row, and single-connection runs by row."""

    full: dict[str, Run] = field(default_factory=dict)
    single: dict[str, Run] = field(default_factory=dict)
    counted: bool = True


def measure_rounds(rows: Sequence[str], measure: Measure, count: int, baseline: str, extra: int) -> list[Round]:
    """At least `count` rounds; those with a busy machine are marked and repeated, at the most `extra` times."""
    rounds = [_one_round(rows, measure) for _ in range(count)]
    for _ in range(extra):
        mark_busy(rounds, baseline)
        if sum(one.counted for one in rounds) >= count:
            break
        rounds.append(_one_round(rows, measure))
    mark_busy(rounds, baseline)
    return rounds


def mark_busy(rounds: list[Round], baseline: str) -> None:
    """Set `counted` of every round: all its runs are clean, and its baseline is near the median of all."""
    middle = median(one.full[baseline].rate for one in rounds)
    for one in rounds:
        quiet = abs(one.full[baseline].rate - middle) <= OFF * middle
        one.counted = quiet and all(run.clean for run in (*one.full.values(), *one.single.values()))


def counted(rounds: Sequence[Round]) -> list[Round]:
    """The rounds that figures are taken from: the counted ones, or all where none is (the result is then faulty)."""
    return [one for one in rounds if one.counted] or list(rounds)


def _one_round(rows: Sequence[str], measure: Measure) -> Round:
    done = Round()
    for row in rows:
        full, single = measure(row)
        done.full[row] = full
        if single is not None:
            done.single[row] = single
    return done


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the least and the greatest value behind it."""

    middle: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Raises statistics.StatisticsError without values."""
        return cls(median(values), min(values), max(values))


def spread(rounds: Sequence[Round], row: str, figure: Callable[[Run], float]) -> Spread:
    """One figure of one row over the counted rounds at full load."""
    return Spread.of([figure(one.full[row]) for one in counted(rounds)])


def ratio(rounds: Sequence[Round], row: str, to: str) -> Spread:
    """How many times the rate of `to` a row has, round by round."""
    pairs = [(one.full[row].rate, one.full[to].rate) for one in counted(rounds)]
    return Spread.of([ours / theirs if theirs else inf for ours, theirs in pairs])


def added_latency(rounds: Sequence[Round], row: str, to: str, figure: Callable[[Run], float]) -> Spread:
    """Milliseconds that a row adds at concurrency 1, round by round; `figure` is in microseconds."""
    pairs = [(one.single[row], one.single[to]) for one in counted(rounds)]
    return Spread.of([(figure(ours) - figure(theirs)) / 1000 for ours, theirs in pairs])
