"""What happened around the admissions: steps of the server's clock, faults of Redis, deaths of workers. World time."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fault:
    """Redis did not do its part. `alone` are the workers that had to decide alone, `lost` says that counts were lost."""

    begin: float
    end: float
    alone: frozenset[int] = frozenset()
    lost: bool = False


@dataclass(slots=True)
class History:
    """Filled by the test while it goes on; `workers` is how many share a limit while Redis is away."""

    began: float
    workers: int
    ended: float = 0.0
    step_at_begin: float = 0.0
    steps: list[tuple[float, float]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    deaths: list[tuple[float, int]] = field(default_factory=list)

    def forward(self, moment: float) -> float:
        """Seconds by which the server's clock had been set forward until then: a clock that is never set back."""
        return sum(step for at, step in self.steps if step > 0 and at <= moment)

    def stepped_within(self, begin: float, end: float) -> bool:
        """Whether the server's clock was set forward in this time."""
        return any(begin <= at <= end for at, step in self.steps if step > 0)

    def visited(self) -> list[tuple[float, float]]:
        """Stretches of the server's time in which it was at some time."""
        stretches, begin, step = [], self.began, self.step_at_begin
        for at, change in [*self.steps, (self.ended, 0.0)]:
            stretches.append((begin + step, at + step))
            begin, step = at, step + change
        return stretches

    def slack(self, amount: int, begin: float, end: float, share_windows: int, request: int = 1) -> int:
        """How much more than `amount` may have been admitted in a window because of faults that touch it.

        Counts that were lost: the amount again for each loss, because permits that were leased before are spent too.
        Redis away: each worker's share, or one `request` that takes more than that, for each of the `share_windows` local windows that can lie in one of these. What
        a worker admitted alone is not known to the one that takes its place: that has a share of its own.
        """
        touching = [fault for fault in self.faults if fault.begin < end and fault.end >= begin]
        lost = sum(fault.lost for fault in touching)
        alone = frozenset[int]().union(*(fault.alone for fault in touching))
        share = max(-(-amount // self.workers), min(request, amount))
        return lost * amount + share * len(alone) * share_windows
