"""Usage rollups: request logs folded by minute, hour and day, per organization, key, service, operation and status class.

A missing dimension is the zero UUID. `errors` counts answers of 400 and above and answers that did not come whole.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Connection

from domain.histogram import BUCKETS, added, bucket_of
from domain.request_log import LogRow
from domain.snapshots import NO_ID

GRAINS = ("minute", "hour", "day")
_BROKEN = frozenset({"failed", "cut"})

Key = tuple[UUID, UUID, UUID, UUID, datetime, str, int]
"""Organization, key, service, operation, bucket, grain, status class: the primary key."""


class Tally:
    """Sums of one rollup row."""

    __slots__ = ("histogram", "sums")

    def __init__(self) -> None:
        # requests, errors, bytes_in, bytes_out, upstream_us_sum, total_us_sum, cost_micro
        self.sums = [0, 0, 0, 0, 0, 0, 0]
        self.histogram = [0] * BUCKETS

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
        self.histogram[bucket_of(row.total_us)] += 1

    def merge(self, other: "Tally") -> None:
        """Add another row's sums."""
        self.sums = [mine + theirs for mine, theirs in zip(self.sums, other.sums, strict=True)]
        self.histogram = added(self.histogram, other.histogram)


class Fold:
    """Folds a batch, row by row; coarse grains come from the minutes at the end."""

    def __init__(self) -> None:
        self._minutes: dict[tuple[UUID | None, UUID | None, UUID | None, UUID | None, int, int], Tally] = {}
        self._moments: dict[int, datetime] = {}

    def count(self, row: LogRow) -> None:
        """Add one request to its minute."""
        minute = int(row.at.timestamp()) // 60
        self._moments.setdefault(minute, row.at)
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
            for grain in GRAINS:
                bucket = _bucket(self._moments[minute], grain)
                row = (organization or NO_ID, key or NO_ID, service or NO_ID, operation or NO_ID, bucket, grain)
                into = folded.setdefault((*row, status_class), Tally())
                into.merge(tally)
        return sorted(folded.items(), key=lambda item: item[0])


async def add_to_rollups(connection: Connection, rows: Iterable[tuple[Key, Tally]]) -> None:
    """Add sums to the stored ones, in the order given. Call it in the transaction that stores the rows themselves."""
    columns: list[list[Any]] = [[] for _ in range(15)]
    for key, tally in rows:
        for column, value in zip(columns, (*key, *tally.sums, _literal(tally.histogram)), strict=True):
            column.append(value)
    if columns[0]:
        await connection.execute(_UPSERT, *columns)


def _bucket(moment: datetime, grain: str) -> datetime:
    start = moment.replace(second=0, microsecond=0)
    if grain == "minute":
        return start
    return start.replace(minute=0) if grain == "hour" else start.replace(minute=0, hour=0)


def _literal(histogram: list[int]) -> str:
    """An array literal: unnest() would flatten an array of arrays."""
    return "{" + ",".join(map(str, histogram)) + "}"


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
