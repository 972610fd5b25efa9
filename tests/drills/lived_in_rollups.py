"""Rollups and summaries of the same organization, equal to its logs, and those of the 90 days before."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.histogram import EDGES_US
from domain.ingesting.folding import KEPT
from tests.drills.lived_in_logs import SPAN, Call

OLDER = timedelta(days=90)

_COUNTING = """
create or replace function lived_in_count(counts bigint[], total_us bigint, edges float8[]) returns bigint[]
language plpgsql immutable as $$
declare place int := 1 + width_bucket(total_us::float8, edges);
begin
    if coalesce(array_length(counts, 1), 0) < place then
        counts := counts || array_fill(0::bigint, array[place - coalesce(array_length(counts, 1), 0)]);
    end if;
    counts[place] := counts[place] + 1;
    return counts;
end $$;
create or replace aggregate lived_in_histogram(bigint, float8[]) (sfunc = lived_in_count, stype = bigint[], initcond = '{}');
"""
_FOLD = """
insert into usage_rollup (organization_id, key_id, service_id, operation_id, bucket, grain, status_class, requests, errors,
    refused, bytes_in, bytes_out, upstream_us_sum, total_us_sum, cost_micro, latency)
select organization_id, key_id, service_id, operation_id, date_trunc('{grain}', at), '{grain}', status / 100, count(*),
       count(*) filter (where status >= 400 or outcome in ('failed', 'cut')), count(*) filter (where outcome = 'refused'),
       sum(bytes_in), sum(bytes_out), coalesce(sum(upstream_us), 0), sum(total_us), sum(cost_micro),
       lived_in_histogram(total_us, $1::float8[])
  from request_log where organization_id = $2 and at >= $3
 group by 1, 2, 3, 4, 5, status / 100 order by 5
"""
_PAST = """
insert into usage_rollup (organization_id, key_id, service_id, operation_id, bucket, grain, status_class, requests, errors,
    refused, bytes_in, bytes_out, upstream_us_sum, total_us_sum, cost_micro, latency)
select $1, k, ($3::uuid[])[o], ($4::uuid[])[o], bucket, $5, c, n, case when c = 2 then 0 else n end, 0, n * 300, n * 4000,
       n * 8700, n * 9000, n * 1000, array_fill(0::bigint, array[23]) || array[n]
  from unnest($2::uuid[]) with ordinality as keys (k, place), generate_series($6::timestamptz, $7, $8::interval) as bucket,
       unnest(array[2, 4]) as c,
       lateral (select 1 + place::int % {calls} as o, (case c when 2 then 90 else 3 end * (1 + place % 7))::bigint as n) as x
 order by bucket
"""
_PARTS = """
create temporary table lived_in_part as
select service_id, operation_id, date_trunc('hour', at) as bucket, 'hour' as grain, status / 100 as class,
       width_bucket(total_us::float8, '{edges}'::float8[]) as place, count(*) as n,
       count(*) filter (where status >= 400 or outcome in ('failed', 'cut')) as bad,
       count(*) filter (where outcome = 'refused') as refused, sum(bytes_in) as bytes_in, sum(bytes_out) as bytes_out,
       coalesce(sum(upstream_us), 0) as upstream, sum(total_us) as total, sum(cost_micro) as cost
  from request_log where organization_id = '{organization}' group by 1, 2, 3, 5, 6;
insert into lived_in_part
select service_id, operation_id, date_trunc('day', bucket, 'UTC'), 'day', class, place, n, bad, refused, bytes_in, bytes_out,
       upstream, total, cost from lived_in_part;
insert into lived_in_part
select service_id, operation_id, bucket, grain, status_class, 23, sum(requests), sum(errors), sum(refused), sum(bytes_in),
       sum(bytes_out), sum(upstream_us_sum), sum(total_us_sum), sum(cost_micro)
  from usage_rollup where organization_id = '{organization}' and grain <> 'minute'
   and bucket < (select date_trunc('day', min(at), 'UTC') from request_log where organization_id = '{organization}')
 group by 1, 2, 3, 4, 5;
create or replace function lived_in_add(counts bigint[], place int, n bigint) returns bigint[] language plpgsql immutable as $$
begin
    if coalesce(array_length(counts, 1), 0) <= place then
        counts := counts || array_fill(0::bigint, array[place + 1 - coalesce(array_length(counts, 1), 0)]);
    end if;
    counts[place + 1] := counts[place + 1] + n;
    return counts;
end $$;
create or replace aggregate lived_in_places(int, bigint) (sfunc = lived_in_add, stype = bigint[], initcond = '{{}}');
insert into usage_summary (organization_id, key_id, service_id, operation_id, bucket, grain, status_class, requests, errors,
    refused, bytes_in, bytes_out, upstream_us_sum, total_us_sum, cost_micro, latency)
select '{organization}', '{every}', s.service_id, s.operation_id, bucket, grain, class, sum(n), sum(bad), sum(refused),
       sum(bytes_in), sum(bytes_out), sum(upstream), sum(total), sum(cost), lived_in_places(place, n::bigint)
  from lived_in_part p cross join lateral (values (p.service_id, p.operation_id), (p.service_id, '{every}'::uuid),
       ('{every}'::uuid, '{every}'::uuid)) as s (service_id, operation_id)
 group by 3, 4, 5, 6, 7;
insert into usage_summary (organization_id, key_id, service_id, operation_id, bucket, grain, status_class, requests, errors,
    refused, bytes_in, bytes_out, upstream_us_sum, total_us_sum, cost_micro)
select organization_id, key_id, '{every}', '{every}', date_trunc('week', bucket, 'UTC'), 'week', 0, sum(requests), sum(errors),
       sum(refused), sum(bytes_in), sum(bytes_out), sum(upstream_us_sum), sum(total_us_sum), sum(cost_micro)
  from usage_rollup where organization_id = '{organization}' and grain = 'day' group by 1, 2, 5;
drop table lived_in_part;
"""
_EVERY = "ffffffff-ffff-ffff-ffff-ffffffffffff"


async def fold_logs(connection: Any, organization_id: UUID, now: datetime) -> None:
    """Rollups that equal the rows, as the ingester would have left them."""
    await connection.execute(_COUNTING)
    edges = [float(edge) for edge in EDGES_US]
    for grain in ("day", "hour", "minute"):
        since = now - min(KEPT.get(grain, OLDER), SPAN + timedelta(days=1))
        since = since.replace(minute=0, second=0, microsecond=0)
        await connection.execute(_FOLD.format(grain=grain), edges, organization_id, since, timeout=3600)


async def write_older_rollups(
    connection: Any, organization_id: UUID, keys: list[UUID], calls: list[Call], now: datetime
) -> None:
    """Days of every key and hours of the busiest fiftieth, for the 90 days before the rows begin."""
    until = (now - SPAN).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=1)
    for grain, whose in (("day", keys), ("hour", keys[: max(1, len(keys) // 50)])):
        length = timedelta(days=1) if grain == "day" else timedelta(hours=1)
        await connection.execute(
            _PAST.format(calls=len(calls)),
            organization_id,
            whose,
            [call.service_id for call in calls],
            [call.operation_id for call in calls],
            grain,
            (now - OLDER).replace(hour=0, minute=0, second=0, microsecond=0),
            until,
            length,
            timeout=3600,
        )


async def write_summaries(connection: Any, organization_id: UUID) -> None:
    """The sums of all of these: services, operations, the organization, and keys by the week."""
    edges = "{" + ",".join(map(str, EDGES_US)) + "}"
    await connection.execute(_PARTS.format(edges=edges, organization=organization_id, every=_EVERY), timeout=3600)
