"""Everything that one `make bench` found, as data; `report` shows it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from loadtests.bench.audit import Audit
from loadtests.bench.contenders import OURS
from loadtests.bench.rounds import Round
from loadtests.bench.targets import Target
from loadtests.bench.wrk import Run


@dataclass(slots=True)
class Result:
    """`faults` say why the figures may not be used; empty is good."""

    machine: dict[str, str]
    placement: str
    seconds: int
    rounds: list[Round]
    targets: list[Target]
    audits: dict[str, Audit]
    worker_megabytes: float
    when: str
    faults: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "when": self.when, "machine": self.machine, "placement": self.placement, "seconds": self.seconds,
            "rounds": [
                {"counted": one.counted, "c64": runs(one.full), "c1": runs(one.single)} for one in self.rounds
            ],
            "targets": [target.as_dict() for target in self.targets],
            "log": {name: {**asdict(audit), "missing": audit.missing} for name, audit in self.audits.items()},
            "worker_megabytes": self.worker_megabytes, "faults": self.faults,
        }  # fmt: skip


def runs(by_row: dict[str, Run]) -> dict[str, dict[str, float]]:
    """Runs of a round with their rates, for JSON."""
    return {row: {**asdict(run), "rate": round(run.rate, 1)} for row, run in by_row.items()}


def find_faults(rounds: Sequence[Round], audits: dict[str, Audit]) -> list[str]:
    """Runs of ours with anything but 200, answers without exactly one log row, too few rounds to say anything."""
    faults = []
    for number, one in enumerate(rounds, 1):
        faults += [
            f"round {number}, {OURS}: {run.not_200} not 200, {run.broken} broken, {run.answers} in all"
            for run in (one.full.get(OURS), one.single.get(OURS))
            if run and not run.clean
        ]
    for name, audit in audits.items():
        if not audit.sound:
            faults.append(
                f"log after {name}: {audit.missing} rows missing, {audit.duplicates} twice, {audit.rows} in all"
            )
    if not any(one.counted for one in rounds):
        faults.append("no round with a quiet machine and nothing but 200 in all rows")
    return faults
