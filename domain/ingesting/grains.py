"""Where buckets of usage begin, in minutes since 1970 (UTC), and what stands for a dimension that is summed up."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

EVERY = UUID(int=2**128 - 1)
"""Stands in summaries where a dimension is summed up."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_MINUTES_OF_A_DAY = 1_440
_DAYS_BEFORE_MONDAY = 3
"""The first of January 1970 was a Thursday."""


def week_of(minute: int) -> int:
    """First minute of the week that a minute lies in: Monday."""
    day = minute // _MINUTES_OF_A_DAY
    return (day - (day + _DAYS_BEFORE_MONDAY) % 7) * _MINUTES_OF_A_DAY


def month_of(minute: int) -> int:
    """First minute of its calendar month."""
    first = (EPOCH + timedelta(minutes=minute)).replace(day=1, hour=0, minute=0)
    return (first - EPOCH).days * _MINUTES_OF_A_DAY
