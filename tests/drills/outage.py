"""`python -m tests.drills.outage`: PostgreSQL hung, then killed, for 60 s each, and Redis hung for 10 s, under load.

About 200 requests a second, short and streaming. Shown by second: answers; by phase: how long deciding took. That is
what the gateway itself measured (`total_us` less the upstream's time, of short answers, from the request log), so it
includes parsing and writing, and excludes this drill's own slowness. The promise (G5): known keys go on, a decision
takes 50 ms at the most whatever Redis does, nothing is lost, all is well again within 10 s.
"""

import argparse
import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from loadtests.processes import children
from tests.drills.audit import RECOVERY_SECONDS, audit
from tests.drills.evidence import Evidence, Sighting
from tests.drills.ground import Ground, ground
from tests.drills.storm import UNARY, settled
from tests.drills.storm_report import show
from tests.drills.victims import again

CAST = [
    *((party, "get", 0.06) for party in (0, 0, 0, 0, 1, 1, 1, 1)),
    *((party, kind, pause) for party in (0, 1) for kind, pause in (
        ("post", 0.08), ("fresh", 0.1), ("events", 0.1), ("events", 0.1), ("upload", 1.0), ("leaver", 0.3),
    )),
    (2, "get", 0.2), (3, "get", 0.1),
]  # fmt: skip
DECISION_SECONDS = 0.05
NOISE_SECONDS = 0.05
"""What two cores shared by gateway, databases, upstream and callers may add to the 99th percentile."""


@dataclass(slots=True)
class Phase:
    """A stretch of the drill, monotonic seconds, and what was seen in it."""

    name: str
    began: float
    ended: float = 0.0
    seen: list[Sighting] = field(default_factory=list)
    decisions: list[float] = field(default_factory=list)

    @property
    def p99(self) -> float:
        """Of the decisions, in seconds; 0 without any."""
        return sorted(self.decisions)[int(len(self.decisions) * 0.99)] if self.decisions else 0.0


class Drill:
    """Phases one after the other under one load."""

    def __init__(self, place: Ground) -> None:
        self._place = place
        self.phases: list[Phase] = []

    def go_on(self, name: str, seconds: float) -> None:
        """Let the load run."""
        phase = Phase(name, time.monotonic())
        time.sleep(seconds)
        phase.ended = time.monotonic()
        self.phases.append(phase)

    @contextmanager
    def postgres_hung(self) -> Iterator[None]:
        """SIGSTOP to all its processes: what is sent to it is taken and never answered."""
        server = self._place.servers.postgres
        assert server.process is not None
        postmaster = server.process.pid
        with _stopped([postmaster, *children(postmaster)]):
            yield

    @contextmanager
    def postgres_away(self) -> Iterator[None]:
        """SIGKILL: connections end, new ones are refused."""
        server = self._place.servers.postgres
        server.kill()
        try:
            yield
        finally:
            again(server.start)

    @contextmanager
    def redis_hung(self) -> Iterator[None]:
        """SIGSTOP."""
        assert self._place.servers.valkey.process is not None
        with _stopped([self._place.servers.valkey.process.pid]):
            yield


def outage(place: Ground, *, postgres: float, redis: float, between: float) -> list[str]:
    """Run it: `postgres` seconds hung and as long away, `redis` seconds hung, `between` seconds of peace after each."""
    drill = Drill(place)
    with place.callers("o", CAST):
        time.sleep(3.0)
        drill.go_on("before", between)
        for name, fault, seconds in (
            ("PostgreSQL hung", drill.postgres_hung, postgres),
            ("PostgreSQL killed", drill.postgres_away, postgres),
            ("Redis hung", drill.redis_hung, redis),
        ):
            with fault():
                drill.go_on(name, seconds)
            drill.go_on(f"after {name}", between)
    evidence = Evidence.of(place.folder)
    evidence.limits = place.limits
    began = time.monotonic()
    stored = settled(place, evidence)
    print(f"all rows stored {time.monotonic() - began:.1f} s after the end")
    report = audit(evidence, stored)
    _sort(drill.phases, evidence.sightings, stored.rows)
    show(report, evidence)
    _show_phases(drill.phases)
    return report.broken + _judge(drill.phases)


def _sort(phases: list[Phase], sightings: list[Sighting], rows: list[Any]) -> None:
    """What belongs to which phase: sightings by their end, decisions by the row's."""
    to_monotonic = time.monotonic() - time.time()
    short = {seen.request_id for seen in sightings if seen.kind in UNARY and seen.whole}
    for phase in phases:
        phase.seen = [one for one in sightings if phase.began <= one.ended < phase.ended]
        phase.decisions = [
            (row["total_us"] - (row["upstream_us"] or 0)) / 1e6
            for row in rows
            if row["id"] in short and phase.began <= row["at"].timestamp() + to_monotonic < phase.ended
        ]


def _good(seen: Sighting) -> bool:
    """As the caller may expect it: whole and 200, or refused with reason, or left by himself."""
    refused = seen.status == 429 and seen.organization in {"party-2", "party-3"}
    return bool(seen.aborted) or (seen.whole and (seen.status == 200 or refused))


def _judge(phases: list[Phase]) -> list[str]:
    """In words, what G5 promises and did not hold."""
    before = phases[0].p99
    most = max(DECISION_SECONDS + NOISE_SECONDS, 3 * before)
    broken = []
    for phase in phases:
        bad = [one for one in phase.seen if not _good(one)]
        broken += [f"{phase.name}: {one.kind} {one.serial}: {one.status} {one.cut}" for one in bad[:5]]
        broken += [f"{phase.name}: {len(bad)} of {len(phase.seen)} answers were not good"] if bad else []
        if phase.p99 > most and not phase.name.startswith("after"):
            broken.append(
                f"{phase.name}: the p99 of decisions is {phase.p99 * 1000:.0f} ms; bound {most * 1000:.0f} ms"
            )
        if phase.name.startswith("after") and (recovery := recovered_after(phase, most)) > RECOVERY_SECONDS:
            broken.append(f"R11: {phase.name} it took {recovery:.0f} s until all was well")
    return broken


def recovered_after(phase: Phase, most: float) -> float:
    """Seconds from the end of a fault to the end of the last second that was not well."""
    slow = [one.ended - phase.began for one in phase.seen if not _good(one)]
    unary = [one for one in phase.seen if one.kind in UNARY]
    slow += [one.ended - phase.began for one in unary if one.ended - one.began > most + 1.0]
    return max(slow, default=0.0)


def _show_phases(phases: list[Phase]) -> None:
    table = Table(
        "phase", "seconds", "requests", "200", "429", "other", "none", "decision p50 ms", "p99 ms", "max ms",
        title="outages; decisions as the gateway measured them", title_justify="left",
    )  # fmt: skip
    for phase in phases:
        statuses = [one.status for one in phase.seen if not one.aborted]
        figures = (median(phase.decisions), phase.p99, max(phase.decisions)) if phase.decisions else ()
        counts = (statuses.count(200), statuses.count(429), sum(one not in {0, 200, 429} for one in statuses))
        table.add_row(
            phase.name, f"{phase.ended - phase.began:.0f}", str(len(phase.seen)), *map(str, counts),
            str(statuses.count(0)), *(f"{figure * 1000:.1f}" for figure in figures),
        )  # fmt: skip
    Console(width=150).print(table)
    for phase in phases:
        seconds = range(int(phase.ended - phase.began))
        good = [sum(_good(one) and int(one.ended - phase.began) == second for one in phase.seen) for second in seconds]
        bad = [
            sum(not _good(one) and int(one.ended - phase.began) == second for one in phase.seen) for second in seconds
        ]
        print(f"{phase.name}, good by second: {' '.join(map(str, good))}" + (f"; bad: {bad}" if any(bad) else ""))


@contextmanager
def _stopped(pids: list[int]) -> Iterator[None]:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.outage", description=__doc__)
    parser.add_argument("--postgres", type=float, default=60.0, help="seconds hung, and again seconds away")
    parser.add_argument("--redis", type=float, default=10.0, help="seconds hung")
    parser.add_argument("--between", type=float, default=12.0, help="seconds of peace after each")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--keep", type=Path, help="leave evidence and logs in this folder")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"seed {seed}", flush=True)
    with ground(seed, options.keep, reserved=False) as place:
        broken = outage(place, postgres=options.postgres, redis=options.redis, between=options.between)
    print(*(f"BROKEN: {what}" for what in broken), sep="\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
