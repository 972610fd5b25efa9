"""Month windows: they begin where the subscription's period began, on that day and time of every month, in UTC.

A month without that day begins on its last one: a period that began on 31 January goes on on 28 (29) February and on
31 March. Nothing here reads a clock. A worker's clock may be wrong, so it names three months in a row, and who has the
right time (the server) picks the one that it is in.
"""

import calendar
import math
import time

from domain.quotas.windows import bounds

Bounds = tuple[int, int, int, int]
"""Four first seconds (Unix): of the month before, of this one, of the next, and of the one behind it."""

_STEPS = (-1, 0, 1, 2)


def month_bounds(anchor: float | None, clock: float) -> Bounds:
    """Three months in a row around `clock`, a Unix time that may be wrong by 27 days.

    `anchor` is the begin of any period of the subscription (Unix seconds, fractions are cut off); None is the calendar
    month. So `bounds[i] <= now < bounds[i + 1]` for one i, and `bounds[1] <= clock < bounds[2]`.
    """
    begun = time.gmtime(0 if anchor is None else math.floor(anchor))
    moment = time.gmtime(math.floor(clock))
    month = moment.tm_year * 12 + moment.tm_mon - 1
    if _begin(begun, month) > clock:
        month -= 1
    before, this, following, last = (_begin(begun, month + step) for step in _STEPS)
    return before, this, following, last


def window_begin(period: str, anchor: float | None, clock: float) -> int:
    """First second of the day or month window that a Unix time lies in."""
    return month_bounds(anchor, clock)[1] if period == "month" else bounds(period, clock)[0]


def window_end(period: str, anchor: float | None, clock: float) -> int:
    """First second behind that window."""
    return month_bounds(anchor, clock)[2] if period == "month" else bounds(period, clock)[1]


def seconds_left(period: str, anchor: float | None, clock: float) -> int:
    """Whole seconds from a Unix time to the end of its window, rounded up, at least 1."""
    return max(1, math.ceil(window_end(period, anchor, clock) - clock))


def _begin(begun: time.struct_time, month: int) -> int:
    """First second of the window that begins in a month, counted from January of the year 0."""
    year, month = divmod(month, 12)
    day = min(begun.tm_mday, calendar.monthrange(year, month + 1)[1])
    return calendar.timegm((year, month + 1, day, begun.tm_hour, begun.tm_min, begun.tm_sec))
