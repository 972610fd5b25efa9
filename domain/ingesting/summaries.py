"""Summaries of rollups, for pages that look at a whole organization: they do not grow with its number of keys.

One with 5,000 keys has 10 million rollups of hours in 90 days; no page may read them. So with every fold the same sums
are kept where EVERY stands for a dimension that is summed up:

    hours and days   of the organization, of each service, and of each operation
    weeks            of each key, without latencies and status classes, to find the keys that are used most

and where EVERY stands for the organization, of all of them and of what belongs to none: hours, days and weeks of everything, of each
service, and of each operation; minutes of everything. They sort behind all others, so that ingesters, which all write
these, lock them last.
"""

from collections.abc import Mapping, Sequence

from domain.ingesting.grains import EVERY, week_of
from domain.ingesting.tallies import Key, Tally
from domain.snapshots import NO_ID

_ALL, _NOBODY = EVERY.bytes, NO_ID.bytes


def summaries(rows: Sequence[tuple[Key, Tally]]) -> list[tuple[Key, Tally]]:
    """The summaries of rollups, in the order of their keys, in which all ingesters write them."""
    operations: dict[Key, Tally] = {}
    everybody: dict[Key, Tally] = {}
    others: dict[Key, Tally] = {}
    for (dimensions, grain, bucket, status_class), tally in rows:
        organization = dimensions[:16]
        if grain == "minute":
            _sum_of(others, (_ALL * 4, grain, bucket, status_class)).add(tally)
            continue
        sums = everybody if organization == _NOBODY else operations
        kept = _ALL if organization == _NOBODY else organization
        _sum_of(sums, (kept + _ALL + dimensions[32:], grain, bucket, status_class)).add(tally)
        if grain == "day" and organization != _NOBODY:
            week = dimensions[:32] + _ALL + _ALL, "week", week_of(bucket), 0
            _sum_of(others, week).add(tally, latency=False)
    for (dimensions, grain, bucket, status_class), tally in operations.items():
        _sum_of(everybody, (_ALL + dimensions[16:], grain, bucket, status_class)).add(tally)
    for (dimensions, grain, bucket, status_class), tally in list(everybody.items()):
        if grain == "day":
            _sum_of(everybody, (dimensions, "week", week_of(bucket), status_class)).add(tally)
    operations |= everybody
    services = _summed(operations, 48)
    everything = _summed(services, 32)
    return sorted([*operations.items(), *services.items(), *everything.items(), *others.items()], key=_key_of)


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
