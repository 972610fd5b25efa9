"""When something is told: pure. A level is told when it is first reached, and again once it was left behind by a margin.

Levels are percents of a threshold, 0 for none. What is measured may be missed by a look or come back to the same figure;
what was told stays told while it is held, and the margin between `reached` and `held` keeps a figure that wavers from
telling again and again (hysteresis).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

LEVELS = (50, 80, 100)
"""Percents of a limit, a quota or a spend cap at which its organization is told."""
WHOLE = (100,)
"""The one level of a threshold that is reached or not."""
MARGIN = 10
"""So many percents of the threshold below its level a level is armed again; half of the level, if that is less."""


class Reach(NamedTuple):
    """The highest level that is reached now, and the highest that still holds if it was reached before; never lower."""

    reached: int
    held: int


NOTHING = Reach(0, 0)


def level_after(before: int, reach: Reach) -> int:
    """The level that stands now. It is told if, and only if, it is higher than `before`."""
    return max(reach.reached, min(before, reach.held))


def rising(value: int, threshold: int, levels: Sequence[int] = LEVELS) -> Reach:
    """Of what grows towards a threshold. A threshold of 0 is never told of: it is reached before anything happens."""
    if threshold <= 0:
        return NOTHING
    return Reach(
        max((level for level in levels if value * 100 >= level * threshold), default=0),
        max((level for level in levels if value * 100 >= (level - min(MARGIN, level // 2)) * threshold), default=0),
    )


def falling(value: int, mark: int) -> Reach:
    """Of what shrinks: reached below the mark, armed again at a quarter above it. A mark of 0 is none."""
    if mark <= 0:
        return NOTHING
    return Reach(100 if value < mark else 0, 100 if value * 4 < mark * 5 else 0)


def rate(failed: int, requests: int, percent: int, least: int) -> Reach:
    """Of a share of failures: reached from `percent` on, of at least `least` requests.

    It holds down to three quarters of that share, and of half as many requests. A percent of 0 is none.
    """
    if percent <= 0 or requests <= 0:
        return NOTHING
    reached = requests >= least and failed * 100 >= percent * requests
    held = requests * 2 >= least and failed * 400 >= percent * 3 * requests
    return Reach(100 if reached else 0, 100 if reached or held else 0)


def mailed(period: str, level: int, last_mailed: datetime | None, now: datetime) -> bool:
    """Whether a level of a limit is mailed too. Limits of an hour are: when used up, and once in a UTC day."""
    if period != "hour":
        return True
    return level >= 100 and (last_mailed is None or last_mailed.astimezone(UTC).date() < now.astimezone(UTC).date())
