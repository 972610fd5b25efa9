"""Usage rollups in the making: records folded in memory by organization, key, service, operation, minute, status class.

Hours and days come from the minutes when the tallies are written. A missing dimension is the zero UUID. `errors` counts
answers of 400 and above and answers that did not come whole; `refused` those that we refused, which no limit counts.
"""

import struct
from bisect import bisect_right

from domain.histogram import EDGES_US
from domain.ingesting.refusals import Refusals
from domain.journal.decision import NO_LIMITS, SHADOW_AT, SHADOW_END
from domain.journal.records import DIMENSIONS, FIXED_BYTES, OUTCOME_CODE

_NUMBERS = struct.Struct("=qqqqqqHBBHHHH")
_NUMBERS_AT = 80
_US_PER_MINUTE = 60_000_000
_REFUSED = OUTCOME_CODE["refused"]
_BROKEN = (OUTCOME_CODE["failed"], OUTCOME_CODE["cut"])
_KNOWN_CLASSES = (1, 2, 3, 4, 5)
MINUTES = {"minute": 1, "hour": 60, "day": 1_440}
"""Each grain's length."""

Key = tuple[bytes, str, int, int]
"""Dimensions (64 bytes), grain, bucket in minutes since 1970, status class: a row's primary key, which also sorts rows."""


class Tally:
    """Sums of one row. Times in microseconds, cost in micro-credits; `latency` is counts by bucket, without zeros."""

    __slots__ = (
        "bytes_in", "bytes_out", "cost_micro", "errors", "latency", "refused", "requests", "total_us", "upstream_us",
    )  # fmt: skip

    def __init__(self) -> None:
        self.requests = self.errors = self.refused = self.bytes_in = self.bytes_out = 0
        self.upstream_us = self.total_us = self.cost_micro = 0
        self.latency: dict[int, int] = {}

    def plus(self, other: "Tally") -> "Tally":
        """A new tally of both."""
        both = Tally()
        both.add(self)
        both.add(other)
        return both

    def add(self, other: "Tally", *, latency: bool = True) -> None:
        """Count another one in; its latencies too, unless told otherwise."""
        self.requests += other.requests
        self.errors += other.errors
        self.refused += other.refused
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out
        self.upstream_us += other.upstream_us
        self.total_us += other.total_us
        self.cost_micro += other.cost_micro
        if latency:
            counts = self.latency
            for bucket, count in other.latency.items():
                counts[bucket] = counts.get(bucket, 0) + count


class Tallies:
    """What was counted since the last fold into the database."""

    def __init__(self) -> None:
        self._minutes: dict[tuple[bytes, int, int], Tally] = {}
        self.refusals = Refusals()

    def __len__(self) -> int:
        """How many different rows of the grain `minute` there are."""
        return len(self._minutes)

    def count(self, record: bytes) -> None:
        """Add one record of the journal."""
        (
            at_us, total_us, upstream_us, bytes_in, bytes_out, cost_micro, status, outcome, method, path, query, user_agent,
            decision,
        ) = _NUMBERS.unpack_from(record, _NUMBERS_AT)  # fmt: skip
        key = record[DIMENSIONS], at_us // _US_PER_MINUTE, status // 100
        tally = self._minutes.get(key)
        if tally is None:
            tally = self._minutes[key] = Tally()
        tally.requests += 1
        if status >= 400 or outcome in _BROKEN:
            tally.errors += 1
            if outcome == _REFUSED:
                tally.refused += 1
                self.refusals.count_refused(record, key[1])
        if decision:
            at = FIXED_BYTES + method + path + query + user_agent
            if record[at + SHADOW_AT : at + SHADOW_END] != NO_LIMITS:
                self.refusals.count_shadows(record, key[1], record[at : at + decision])
        tally.bytes_in += bytes_in
        tally.bytes_out += bytes_out
        if upstream_us > 0:
            tally.upstream_us += upstream_us
        tally.total_us += total_us
        tally.cost_micro += cost_micro
        bucket = bisect_right(EDGES_US, total_us)
        latency = tally.latency
        latency[bucket] = latency.get(bucket, 0) + 1

    def rows(self) -> list[tuple[Key, Tally]]:
        """Every rollup row of every grain, sorted: ingesters that update in one order cannot deadlock."""
        folded: dict[Key, Tally] = {}
        for (dimensions, minute, hundreds), tally in self._minutes.items():
            status_class = hundreds if hundreds in _KNOWN_CLASSES else 0
            for grain, length in MINUTES.items():
                key = dimensions, grain, minute - minute % length, status_class
                known = folded.get(key)
                folded[key] = tally if known is None else known.plus(tally)
        return sorted(folded.items(), key=_key_of)


def _key_of(row: tuple[Key, Tally]) -> Key:
    return row[0]
