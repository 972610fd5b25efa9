"""Everything that one `make bench` found, as data; `report` shows it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from loadtests.bench.targets import Target

Lines = list[Sequence[str]]
"""A table: its head, then its lines."""


@dataclass(slots=True)
class Part:
    """What one measurement found. `faults` say why its figures may not be used; empty is good."""

    name: str
    title: str
    targets: list[Target] = field(default_factory=list)
    tables: dict[str, Lines] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        targets = [target.as_dict() for target in self.targets]
        return {"name": self.name, "targets": targets, "notes": self.notes, "faults": self.faults, **self.data}


@dataclass(slots=True)
class Result:
    """All parts of one run, on one machine."""

    machine: dict[str, str]
    when: str
    parts: list[Part] = field(default_factory=list)

    @property
    def targets(self) -> list[Target]:
        """Those of all parts, in order."""
        return [target for part in self.parts for target in part.targets]

    @property
    def faults(self) -> list[str]:
        """Those of all parts."""
        return [f"{part.name}: {fault}" for part in self.parts for fault in part.faults]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        parts = [part.as_dict() for part in self.parts]
        return {"when": self.when, "machine": self.machine, "faults": self.faults, "parts": parts}
