"""Windows of limits as arithmetic: where they begin and end, and what a count means.

All windows are fixed and aligned to the clock in UTC. Nothing here reads a clock or counts; consume.lua and local.py do.
"""

import calendar
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from domain.snapshots import LimitSnapshot

WINDOW_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "month": 2_678_400, "concurrent": 1}
"""Lengths in seconds; for the calendar month that of the longest, so that a reset is never farther than the length.

A cap on requests in progress has no window; its second is what a refused caller is told to wait."""

Source = Literal["redis", "local"]


class WindowState(NamedTuple):
    """One window after a decision. `remaining` is what can still be admitted; `reset_seconds` is rounded up.

    In local mode `used` and `remaining` are of this worker's share, while `limit` stays the plan's.
    """

    name: str
    limit: int
    used: int
    remaining: int
    reset_seconds: int
    window_seconds: int
    shadow: bool


class Verdict(NamedTuple):
    """Whether a request is admitted, and every window of its plan in the plan's order.

    `violated` names the enforced windows that refuse; `retry_after_seconds` is when all of them have turned (0 if
    allowed). `shadow_violated` names the windows that would have refused if they were enforced. `taken_at`: monotonic
    seconds of the take, 0 if there was none.
    """

    allowed: bool
    windows: tuple[WindowState, ...]
    violated: tuple[str, ...]
    retry_after_seconds: int
    source: Source
    shadow_violated: tuple[str, ...]
    taken_at: float = 0.0


UNLIMITED = Verdict(allowed=True, windows=(), violated=(), retry_after_seconds=0, source="local", shadow_violated=())
"""The verdict on a plan without limits."""


def bounds(period: str, now: float) -> tuple[int, int]:
    """First second of the window that contains `now` (Unix seconds), and first second behind it."""
    if period != "month":
        length = WINDOW_SECONDS[period]
        start = int(now // length) * length
        return start, start + length
    moment = datetime.fromtimestamp(now, UTC)
    start = calendar.timegm((moment.year, moment.month, 1, 0, 0, 0))
    return start, start + calendar.monthrange(moment.year, moment.month)[1] * 86_400


def judge(
    windows: Sequence[LimitSnapshot],
    used: Sequence[int],
    reset_ms: Sequence[int],
    costs: Sequence[int],
    *,
    taken: bool,
    source: Source,
    amounts: Sequence[int] = (),
) -> Verdict:
    """The verdict on counts as they are after the decision: `used` includes `costs`, by limit, if `taken`.

    `amounts` stand in for the plan's own where only a share may be spent.
    """
    states, violated, shadow_violated, retry_ms = [], [], [], 0
    for index, limit in enumerate(windows):
        count, reset, amount = used[index], reset_ms[index], amounts[index] if amounts else limit.amount
        seconds, left = max(1, -(-reset // 1000)), max(0, amount - count)
        length = WINDOW_SECONDS[limit.period]
        states.append(WindowState(limit.name, limit.amount, count, left, seconds, length, limit.shadow))
        if count + (0 if taken else costs[index]) <= amount:
            continue
        if limit.shadow:
            shadow_violated.append(limit.name)
        elif not taken:
            violated.append(limit.name)
            retry_ms = max(retry_ms, reset)
    return Verdict(taken, tuple(states), tuple(violated), -(-retry_ms // 1000), source, tuple(shadow_violated))
