"""Request logs of a UTC day, summed up for ever by organization, key, service and operation.

A day is summed up from its rows as often as anybody likes, with the same result. Its table only ever grows until it is
dropped whole (`log_dropping`); rows that come later are another edition of the day, beside what was there.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

from domain.histogram import BUCKETS, EDGES_US
from domain.partitions import partition_name, present_days
from domain.snapshots import NO_ID

_KEY = ("organization_id", "key_id", "service_id", "operation_id")
_SUMS = (
    "requests", "errors", "refused", "status_classes", "bytes_in", "bytes_out", "upstream_us_sum", "total_us_sum",
    "total_us_max", "cost_micro", "latency",
)  # fmt: skip
_CLASSES = range(6)
_CLASS = "case when status between 100 and 599 then status / 100 else 0 end"
_LATENCIES = ", ".join(f"coalesce(sum(requests) filter (where bucket = {index}), 0)" for index in range(BUCKETS))
_ADD = f"""
with cells as (
  select {", ".join(f"coalesce({name}, '{NO_ID}') as {name}" for name in _KEY)},
         width_bucket(total_us, $3::bigint[]) as bucket, count(*) as requests,
         count(*) filter (where status >= 400 or outcome in ('failed', 'cut')) as errors,
         count(*) filter (where outcome = 'refused' and status >= 400) as refused,
         {", ".join(f"count(*) filter (where {_CLASS} = {number}) as class_{number}" for number in _CLASSES)},
         sum(bytes_in) as bytes_in, sum(bytes_out) as bytes_out, sum(coalesce(upstream_us, 0)) as upstream_us_sum,
         sum(total_us) as total_us_sum, max(total_us) as total_us_max, sum(cost_micro) as cost_micro
    from {{table}} group by 1, 2, 3, 4, 5
), sums as (
  select {", ".join(_KEY)}, sum(requests)::bigint as requests, sum(errors)::bigint as errors,
         sum(refused)::bigint as refused,
         array[{", ".join(f"sum(class_{number})" for number in _CLASSES)}]::bigint[] as status_classes,
         sum(bytes_in)::bigint as bytes_in, sum(bytes_out)::bigint as bytes_out,
         sum(upstream_us_sum)::bigint as upstream_us_sum, sum(total_us_sum)::bigint as total_us_sum,
         max(total_us_max)::bigint as total_us_max, sum(cost_micro)::bigint as cost_micro,
         (array[{_LATENCIES}]::bigint[])[1:max(bucket) + 1] as latency
    from cells group by {", ".join(_KEY)}
), written as (
  insert into log_summary as s (day, edition, {", ".join(_KEY + _SUMS)})
  select $1, $2, {", ".join(_KEY + _SUMS)} from sums order by {", ".join(_KEY)}
      on conflict (organization_id, day, key_id, service_id, operation_id, edition) do update
     set {", ".join(f"{name} = excluded.{name}" for name in _SUMS)}
   where ({", ".join(f"s.{name}" for name in _SUMS)}) is distinct from ({", ".join(f"excluded.{name}" for name in _SUMS)})
  returning 1
)
select coalesce((select sum(requests) from sums), 0)::bigint as rows, (select count(*) from written) as written
"""
_ROW = "insert into log_day (day) values ($1) on conflict on constraint uq_log_day_day do nothing"
_LOCK = "select edition, rows, summarised_at from log_day where day = $1 for update"
_NOTE = "update log_day set rows = $2, summarised_at = clock_timestamp() where day = $1"
_COUNT = "select count(*) from {table}"


@dataclass(frozen=True, slots=True)
class Summarised:
    """A day whose summaries hold all its `rows`; `written`: how many summaries had to be made or changed."""

    day: date
    rows: int
    written: int


async def summarise(connection: Any, day: date, *, again: bool = False) -> Summarised:
    """Sum up the rows that the day's table holds now; without a table nothing changes. One transaction; waits for others.

    A day of which nothing is new is only counted, unless it is to be summed up `again`.
    """
    async with connection.transaction():
        edition, rows, at = await lock_day(connection, day)
        if day not in await present_days(connection):
            return Summarised(day, 0, 0)
        table = partition_name(day)
        if not again and at is not None and await connection.fetchval(_COUNT.format(table=table)) == rows:
            # Rows are never changed or deleted one by one, so the same number is the same rows.
            return Summarised(day, rows, 0)
        found = await connection.fetchrow(_ADD.format(table=table), day, edition, list(EDGES_US))
        await connection.execute(_NOTE, day, found["rows"])
        return Summarised(day, found["rows"], found["written"])


async def lock_day(connection: Any, day: date) -> tuple[int, int, Any]:
    """Edition, rows and time of the day's last summary, locked until the caller's transaction ends."""
    await connection.execute(_ROW, day)
    row = await connection.fetchrow(_LOCK, day)
    return row["edition"], row["rows"], row["summarised_at"]


async def days_before(connection: Any, day: date) -> list[date]:
    """Days with a table that were over when `day` began, oldest first."""
    return [one for one in await present_days(connection) if one < day]
