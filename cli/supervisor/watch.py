"""Keep the parts running: notice a crash, say what it said last, start it again with growing pauses."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cli.supervisor.failures import SupervisorError

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
CALM_SECONDS = 60.0


class Part(Protocol):
    """What is watched."""

    title: str

    @property
    def running(self) -> bool:
        """Whether it lives."""
        ...

    def start(self) -> None:
        """Start it and wait until it is ready. Raises SupervisorError."""
        ...

    def explain(self, what: str) -> SupervisorError:
        """The error that says what it said last."""
        ...


@dataclass
class _Record:
    part: Part
    pause: float = FIRST_PAUSE_SECONDS
    started: float = field(default_factory=time.monotonic)
    due: float | None = None


class Watch:
    """Call `look` often. `report` takes each sentence for the person at the terminal."""

    def __init__(self, parts: Sequence[Part], report: Callable[[str], None]) -> None:
        self._records = [_Record(part) for part in parts]
        self._report = report

    def look(self) -> None:
        """Report what has died since, and start again what is due."""
        for record in self._records:
            if record.part.running:
                continue
            now = time.monotonic()
            if record.due is None:
                if now - record.started > CALM_SECONDS:
                    record.pause = FIRST_PAUSE_SECONDS
                record.due = now + record.pause
                self._report(f"{record.part.explain('ended')} It starts again in {record.pause:g} s.")
                record.pause = min(record.pause * 2, LONGEST_PAUSE_SECONDS)
            elif now >= record.due:
                self._restart(record)

    def _restart(self, record: _Record) -> None:
        record.due = None
        record.started = time.monotonic()
        try:
            record.part.start()
        except SupervisorError as error:
            record.due = time.monotonic() + record.pause
            record.pause = min(record.pause * 2, LONGEST_PAUSE_SECONDS)
            self._report(f"{error} It is tried again.")
        else:
            self._report(f"{record.part.title} runs again.")
