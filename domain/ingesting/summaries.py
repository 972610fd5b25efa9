"""Summaries of rollups, for pages that look at a whole organization: they do not grow with its number of keys.

One with 5,000 keys has 10 million rollups of hours in 90 days; no page may read them. So with every fold the same sums
are kept where EVERY stands for a dimension that is summed up:

    hours and days   of the organization, of each service, and of each operation
    weeks            of each key, without latencies and status classes, to find the keys that are used most

What belongs to no organization has no summary.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from domain.ingesting.tallies import Key, Tally
from domain.snapshots import NO_ID

EVERY = UUID(int=2**128 - 1)
"""Stands in summaries where a dimension is summed up."""

_ALL, _NOBODY = EVERY.bytes, NO_ID.bytes
_MINUTES_OF_A_DAY = 1_440
_DAYS_BEFORE_MONDAY = 3
"""The first of January 1970 was a Thursday."""


def week_of(minute: int) -> int:
    """First minute (since 1970) of the week that a minute lies in: Monday, UTC."""
    day = minute // _MINUTES_OF_A_DAY
    return (day - (day + _DAYS_BEFORE_MONDAY) % 7) * _MINUTES_OF_A_DAY


def summaries(rows: Sequence[tuple[Key, Tally]]) -> list[tuple[Key, Tally]]:
    """The summaries of rollups, in the order of their keys, in which all ingesters write them."""
    operations: dict[Key, Tally] = {}
    weeks: dict[Key, Tally] = {}
    for (dimensions, grain, bucket, status_class), tally in rows:
        organization = dimensions[:16]
        if grain == "minute" or organization == _NOBODY:
            continue
        _sum_of(operations, (organization + _ALL + dimensions[32:], grain, bucket, status_class)).add(tally)
        if grain == "day":
            week = dimensions[:32] + _ALL + _ALL, "week", week_of(bucket), 0
            _sum_of(weeks, week).add(tally, latency=False)
    services = _summed(operations, 48)
    everything = _summed(services, 32)
    return sorted([*operations.items(), *services.items(), *everything.items(), *weeks.items()], key=_key_of)


def _summed(rows: Mapping[Key, Tally], kept: int) -> dict[Key, Tally]:
    """The same without the dimensions behind so many bytes."""
    sums: dict[Key, Tally] = {}
    every = _ALL * ((64 - kept) // 16)
    for (dimensions, grain, bucket, status_class), tally in rows.items():
        _sum_of(sums, (dimensions[:kept] + every, grain, bucket, status_class)).add(tally)
    return sums


def _sum_of(sums: dict[Key, Tally], key: Key) -> Tally:
    known = sums.get(key)
    if known is None:
        known = sums[key] = Tally()
    return known


def _key_of(row: tuple[Key, Tally]) -> Key:
    return row[0]
