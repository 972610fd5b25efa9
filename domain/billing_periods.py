"""Paid periods: months counted from one anchor, in UTC.

A month without the anchor's day begins on its last one: what began on 31 January goes on on 28 (29) February and on
31 March. So a period's begin says nothing about the next one; the anchor does. `domain.quotas.periods` counts the same.
"""

import calendar
from datetime import UTC, datetime

MONTHS_OF_A_YEAR = 12


def months_after(anchor: datetime, months: int) -> datetime:
    """The moment so many whole months after the anchor (before it, if negative)."""
    begun = anchor.astimezone(UTC)
    year, month = divmod(begun.year * MONTHS_OF_A_YEAR + begun.month - 1 + months, MONTHS_OF_A_YEAR)
    day = min(begun.day, calendar.monthrange(year, month + 1)[1])
    return begun.replace(year=year, month=month + 1, day=day)


def months_between(anchor: datetime, moment: datetime) -> int:
    """Whole months from the anchor to `moment`: the greatest n with `months_after(anchor, n) <= moment`."""
    begun, then = anchor.astimezone(UTC), moment.astimezone(UTC)
    months = (then.year - begun.year) * MONTHS_OF_A_YEAR + then.month - begun.month
    return months if months_after(anchor, months) <= moment else months - 1


def anchor_of(candidate: datetime, period_start: datetime) -> datetime:
    """The anchor of a period: the candidate, if one of its months begins where the period does; else the period's begin."""
    return (
        candidate if months_after(candidate, months_between(candidate, period_start)) == period_start else period_start
    )


def counted_from(paid_from: datetime, period_start: datetime, period_end: datetime) -> datetime:
    """The anchor of a period that lies there: the begin of the paid part, if the period is one of its months.

    Else an earlier one was extended, and begin and end say from when on months are counted: of 28 February to 31 March the
    31st, as of 31 January to 28 February.
    """
    anchor = anchor_of(paid_from, period_start)
    return anchor if anchor == paid_from else anchor_of(period_end, period_start)
