"""Usage rollups: request logs folded by minute, hour and day, per organization, key, service, operation and status class.

A missing dimension is the zero UUID. `errors` counts answers of 400 and above and answers that did not come whole.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from asyncpg import Connection

from domain.histogram import bucket_of
from domain.request_log import LogRow
from domain.snapshots import NO_ID

_ROWS_PER_STATEMENT = 500
"""More would hold up a worker's requests while they are encoded."""

GRAINS = ("minute", "hour", "day")
_BROKEN = frozenset({"failed", "cut"})

Key = tuple[UUID, UUID, UUID, UUID, datetime, str, int]
"""Organization, key, service, operation, bucket, grain, status class: the primary key."""


class Tally:
    """Sums of one rollup row; `histogram` has counts by bucket and no zeros."""

    __slots__ = ("_literal", "histogram", "sums")

    def __init__(self) -> None:
        # requests, errors, bytes_in, bytes_out, upstream_us_sum, total_us_sum, cost_micro
        self.sums = [0, 0, 0, 0, 0, 0, 0]
        self.histogram: dict[int, int] = {}
        self._literal = ""

    def count(self, row: LogRow) -> None:
        """Add one request."""
        sums = self.sums
        sums[0] += 1
        if row.status >= 400 or row.outcome in _BROKEN:
            sums[1] += 1
        sums[2] += row.bytes_in
        sums[3] += row.bytes_out
        if row.upstream_us:
            sums[4] += row.upstream_us
        sums[5] += row.total_us
        sums[6] += row.cost_micro
        bucket = bucket_of(row.total_us)
        self.histogram[bucket] = self.histogram.get(bucket, 0) + 1

    def plus(self, other: "Tally") -> "Tally":
        """A new tally of both."""
        both = Tally()
        both.sums = [mine + theirs for mine, theirs in zip(self.sums, other.sums, strict=True)]
        both.histogram = dict(self.histogram)
        for bucket, count in other.histogram.items():
            both.histogram[bucket] = both.histogram.get(bucket, 0) + count
        return both

    def literal(self) -> str:
        """The histogram as an array literal, because unnest() would flatten an array of arrays. Made once."""
        if not self._literal:
            dense = [self.histogram.get(bucket, 0) for bucket in range(max(self.histogram, default=-1) + 1)]
            self._literal = "{" + ",".join(map(str, dense)) + "}"
        return self._literal


class Fold:
    """Folds a batch, row by row; coarse grains come from the minutes at the end."""

    def __init__(self) -> None:
        self._minutes: dict[tuple[UUID | None, UUID | None, UUID | None, UUID | None, int, int], Tally] = {}
        self._buckets: dict[int, tuple[datetime, ...]] = {}

    def count(self, row: LogRow) -> None:
        """Add one request to its minute."""
        minute = int(row.at.timestamp()) // 60
        if minute not in self._buckets:
            self._buckets[minute] = _buckets(row.at.astimezone(UTC))
        status_class = row.status // 100 if 100 <= row.status <= 599 else 0
        key = row.organization_id, row.key_id, row.service_id, row.operation_id, minute, status_class
        tally = self._minutes.get(key)
        if tally is None:
            tally = self._minutes[key] = Tally()
        tally.count(row)

    def rows(self) -> list[tuple[Key, Tally]]:
        """Every rollup row that the batch adds to, sorted: workers that update in one order cannot deadlock."""
        folded: dict[Key, Tally] = {}
        for (organization, key, service, operation, minute, status_class), tally in self._minutes.items():
            who = organization or NO_ID, key or NO_ID, service or NO_ID, operation or NO_ID
            for grain, bucket in zip(GRAINS, self._buckets[minute], strict=True):
                row = (*who, bucket, grain, status_class)
                known = folded.get(row)
                folded[row] = tally if known is None else known.plus(tally)
        return sorted(folded.items(), key=_order)


async def add_to_rollups(connection: Connection, rows: Sequence[tuple[Key, Tally]]) -> None:
    """Add sums to the stored ones, in the order given. Call it in the transaction that stores the rows themselves."""
    for first in range(0, len(rows), _ROWS_PER_STATEMENT):
        values = [(*key, *tally.sums, tally.literal()) for key, tally in rows[first : first + _ROWS_PER_STATEMENT]]
        await connection.execute(_UPSERT, *zip(*values, strict=True))


def _buckets(moment: datetime) -> tuple[datetime, ...]:
    minute = moment.replace(second=0, microsecond=0)
    hour = minute.replace(minute=0)
    return minute, hour, hour.replace(hour=0)


def _order(item: tuple[Key, Tally]) -> tuple[Any, ...]:
    """Integers, because UUIDs compare in Python code."""
    organization, key, service, operation, bucket, grain, status_class = item[0]
    return organization.int, key.int, service.int, operation.int, grain, bucket, status_class


_UPSERT = """
insert into usage_rollup as r (organization_id, key_id, service_id, operation_id, bucket, grain, status_class,
                               requests, errors, bytes_in, bytes_out, upstream_us_sum, total_us_sum, cost_micro, latency)
select a, k, s, o, b, g, c, n, e, bi, bo, us, ts, cm, h::bigint[]
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::text[], $7::smallint[],
              $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[],
              $15::text[]) as t (a, k, s, o, b, g, c, n, e, bi, bo, us, ts, cm, h)
on conflict (organization_id, key_id, service_id, operation_id, bucket, grain, status_class) do update set
  requests = r.requests + excluded.requests,
  errors = r.errors + excluded.errors,
  bytes_in = r.bytes_in + excluded.bytes_in,
  bytes_out = r.bytes_out + excluded.bytes_out,
  upstream_us_sum = r.upstream_us_sum + excluded.upstream_us_sum,
  total_us_sum = r.total_us_sum + excluded.total_us_sum,
  cost_micro = r.cost_micro + excluded.cost_micro,
  latency = (select array_agg(coalesce(x, 0) + coalesce(y, 0) order by i)
               from unnest(r.latency, excluded.latency) with ordinality as u (x, y, i))
"""
