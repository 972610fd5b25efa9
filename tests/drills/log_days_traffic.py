"""The traffic of `log_days`: so many rows a day, five minutes by five, and what summaries have to say of a day, asked of its rows."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from domain.credits.movements import Movement
from domain.credits.posting import lock_accounts, post
from domain.histogram import EDGES_US
from domain.snapshots import NO_ID
from schema.credits import EntryType

SLICE = timedelta(minutes=5)
SLICES = timedelta(days=1) // SLICE

_FILL = """
insert into request_log (id, at, organization_id, key_id, service_id, operation_id, method, path, status, outcome,
                         upstream_us, total_us, bytes_in, bytes_out, cost_micro)
select ('019aa000-' || lpad(to_hex(n / 65536), 4, '0') || '-7000-8000-' || lpad(to_hex($5::bigint + n), 12, '0'))::uuid,
       $1::timestamptz + n * $6::interval / $2::int,
       ($3::uuid[])[1 + n % cardinality($3::uuid[])], case when n % 11 > 0 then ($4::uuid[])[1 + n % cardinality($4::uuid[])] end,
       ('00000000-0000-4000-a000-00000000000' || n / 7 % 3)::uuid,
       case when n % 7 > 0 then ('00000000-0000-4000-b000-00000000000' || n % 7)::uuid end,
       'GET', '/v1/items', case when n % 50 = 0 then 429 when n % 40 = 0 then 502 when n % 90 = 0 then 404 else 200 end,
       case when n % 50 = 0 then 'refused' when n % 40 = 0 then 'failed' when n % 77 = 0 then 'cut' else 'served' end,
       case when n % 50 > 0 then 1000 end, (30 * power(10, (n % 700) / 100.0))::bigint, n % 13, n % 5000, n % 3 * 100
  from generate_series(0, $2::int - 1) as n
"""
# What the ingester adds beside the rows, of which alerts are made.
_ROLLUPS = """
insert into organization_usage as u (grain, bucket, organization_id, requests)
select grain, date_trunc(grain, $1::timestamptz, 'UTC'), id, $2
  from unnest($3::uuid[]) id, unnest(array['day', 'week', 'month']) grain
    on conflict (grain, bucket, organization_id) do update set requests = u.requests + excluded.requests
"""
_USED = """
insert into usage_rollup as u (grain, bucket, organization_id, key_id, service_id, operation_id, status_class, requests)
select 'day', date_trunc('day', $1::timestamptz, 'UTC'), id, $4, $4, $4, 2, $2 from unnest($3::uuid[]) id
    on conflict (organization_id, key_id, service_id, operation_id, bucket, grain, status_class)
    do update set requests = u.requests + excluded.requests
"""
_CHARGED = """
select organization_id, sum(cost_micro)::bigint as cost, count(*) as requests, min(at) as first_at, max(at) as last_at,
       now() as stored_at
  from request_log where at >= $1 and at < $1::timestamptz + $2::interval and cost_micro > 0 group by 1
"""
_SUMS = "count(*), count(*) filter (where status >= 400 or outcome in ('failed', 'cut')), \
count(*) filter (where outcome = 'refused' and status >= 400), sum(bytes_in), sum(bytes_out), \
coalesce(sum(upstream_us), 0), sum(total_us), max(total_us), sum(cost_micro), \
count(*) filter (where status / 100 = 2), count(*) filter (where status / 100 = 4), count(*) filter (where status / 100 = 5)"
_KEY = "coalesce(organization_id, $1), coalesce(key_id, $1), coalesce(service_id, $1), coalesce(operation_id, $1)"
_SAID = "requests, errors, refused, bytes_in, bytes_out, upstream_us_sum, total_us_sum, total_us_max, cost_micro, \
status_classes[3], status_classes[5], status_classes[6]"
_CELLS = f"select {_KEY}, {_SUMS} from {{table}} group by 1, 2, 3, 4"
_STORED = f"select organization_id, key_id, service_id, operation_id, {_SAID} from log_summary where day = $2"
_LATENCIES = f"select {_KEY}, width_bucket(total_us, $3::bigint[]), count(*) from {{table}} group by 1, 2, 3, 4, 5"
_STORED_LATENCIES = "select organization_id, key_id, service_id, operation_id, (b.place - 1)::int, b.count \
from log_summary, unnest(latency) with ordinality as b (count, place) where day = $2 and b.count > 0"


@dataclass
class Traffic:
    """Fills slice after slice on a connection of its own, `ahead` slices before what is played.

    Not many: to a job rows that are later than its clock are requests that have not ended yet.
    """

    dsn: str
    first: datetime
    days: int
    rows: int
    organizations: Sequence[UUID]
    keys: Sequence[UUID]
    ahead: int = 1
    seconds: float = 0.0
    """Spent on filling, beside everything else."""
    _filled: asyncio.Condition = field(default_factory=asyncio.Condition)
    _done: int = 0
    _played: int = 0

    async def run(self) -> None:
        """All of it."""
        connection = await asyncpg.connect(self.dsn, command_timeout=600)
        await connection.execute("set synchronous_commit = off")
        try:
            for number in range(self.days * SLICES):
                async with self._filled:
                    await self._filled.wait_for(lambda ahead=number: ahead <= self._played + self.ahead)
                begun = asyncio.get_running_loop().time()
                await self._fill(connection, number)
                self.seconds += asyncio.get_running_loop().time() - begun
                async with self._filled:
                    self._done = number + 1
                    self._filled.notify_all()
        except BaseException:
            # Nobody is to wait for what never comes; whoever awaits this hears why.
            async with self._filled:
                self._done = sys.maxsize
                self._filled.notify_all()
            raise
        finally:
            await connection.close()

    async def until(self, at: datetime) -> None:
        """Wait until all traffic before the moment is there; when the days are over there is none."""
        wanted = min((at - self.first) // SLICE, self.days * SLICES)
        async with self._filled:
            self._played = wanted
            self._filled.notify_all()
            await self._filled.wait_for(lambda: self._done >= wanted)

    async def _fill(self, connection: Any, number: int) -> None:
        share, rest = divmod(self.rows, SLICES)
        count = share + (number % SLICES < rest)
        if not count:
            return
        at = self.first + number * SLICE
        keys, organizations = list(self.keys), list(self.organizations)
        async with connection.transaction():
            await connection.execute(_FILL, at, count, organizations, keys, number * 0x1000000, SLICE)
            await connection.execute(_ROLLUPS, at, count // len(organizations), organizations)
            await connection.execute(_USED, at, count // len(organizations), organizations, NO_ID)
            await lock_accounts(connection, organizations)
            await post(connection, [_usage(row) for row in await connection.fetch(_CHARGED, at, SLICE)])


def _usage(row: Any) -> Movement:
    """What a slice of an organization's cost, as the ingester posts it with the rows."""
    return Movement(
        organization_id=row["organization_id"],
        type=EntryType.USAGE,
        amount_micro=row["cost"],
        incoming=False,
        requests=row["requests"],
        stored_at=row["stored_at"],
        first_at=row["first_at"],
        last_at=row["last_at"],
    )


async def differences(connection: Any, table: str, day: Any) -> int:
    """Summaries of a day that are not what its rows say, and rows that no summary has, by all sums and latencies."""
    found = 0
    for rows, said, more in ((_CELLS, _STORED, ()), (_LATENCIES, _STORED_LATENCIES, (list(EDGES_US),))):
        asked = rows.format(table=table)
        for one, other in ((asked, said), (said, asked)):
            statement = f"select count(*) from (({one}) except all ({other})) as d where $2::date is not null"
            if not more:
                found += await connection.fetchval(statement, NO_ID, day)
            else:
                found += await connection.fetchval(statement, NO_ID, day, *more)
    return found
