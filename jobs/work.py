"""What a job is given, and what it may say."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from domain.databases import Pool
from domain.settings import Settings

Clock = Callable[[], datetime]
Progress = Callable[[int, int, str], Awaitable[None]]
"""How much is done, of how much, and what is being done."""
Result = dict[str, Any]
"""Figures for people; never a secret."""


def utc_now() -> datetime:
    """The clock of every job outside of tests."""
    return datetime.now(UTC)


async def untold(done: int, of: int, what: str) -> None:
    """Progress that nobody looks at."""
    del done, of, what


class Finding(Exception):  # noqa: N818  nothing of ours went wrong: something was found
    """What a job looked for and found: the run has failed for good, and keeps the result."""

    def __init__(self, sentence: str, result: Result) -> None:
        super().__init__(sentence)
        self.result = result


@dataclass(frozen=True, slots=True)
class Work:
    """One run. `redis` is a client with short time-outs, whose server may be away."""

    database: Pool
    redis: Any
    settings: Settings
    clock: Clock = utc_now
    progress: Progress = untold
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        """The moment, by the clock of this run."""
        return self.clock()

    @property
    def day(self) -> date | None:
        """The UTC day that was asked for."""
        return date.fromisoformat(self.arguments["day"]) if "day" in self.arguments else None
