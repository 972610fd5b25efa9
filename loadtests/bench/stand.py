"""How a run of the bench is set up: which cores, how long, how many rounds, what is said on the way."""

import os
from dataclasses import dataclass, field

from rich.console import Console

SERVER_CORE, LOAD_CORE = 0, 1


@dataclass(slots=True)
class Stand:
    """`server_core` and `load_core` are None where nothing is pinned. Times of a smoke test (`quick`) are one second."""

    console: Console
    rounds: int = 3
    quick: bool = False
    ingest_minutes: float = 0.5
    soak_minutes: float = 0.5
    server_core: int | None = field(default=None, init=False)
    load_core: int | None = field(default=None, init=False)

    def pin(self) -> None:
        """Keep this process, and whatever it starts and does not place elsewhere, off the core of the servers."""
        if {SERVER_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
            self.server_core, self.load_core = SERVER_CORE, LOAD_CORE
            os.sched_setaffinity(0, {LOAD_CORE})

    def seconds(self, whole: int) -> int:
        """How long something lasts that takes `whole` seconds in a run that counts."""
        return 1 if self.quick else whole

    def say(self, text: str) -> None:
        """A line for whoever waits."""
        self.console.print(text, highlight=False)
