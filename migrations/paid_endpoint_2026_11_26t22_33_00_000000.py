"""Usage summaries: what pages about a whole organization read, however many keys it has."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-26T22:33:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "usage of organizations, services, operations (hours, days) and keys (weeks), summed up"

# A partition for each grain: weeks of keys are many small rows that are read together, not scattered among large ones.
TABLE = """
create table usage_summary (
    organization_id uuid not null,
    key_id uuid not null,
    service_id uuid not null,
    operation_id uuid not null,
    bucket timestamptz not null,
    grain text not null constraint ck_usage_summary_grain check (grain in ('hour', 'day', 'week')),
    status_class smallint not null constraint ck_usage_summary_status_class check (status_class between 0 and 5),
    requests bigint not null default 0,
    errors bigint not null default 0,
    refused bigint not null default 0,
    bytes_in bigint not null default 0,
    bytes_out bigint not null default 0,
    upstream_us_sum bigint not null default 0,
    total_us_sum bigint not null default 0,
    cost_micro bigint not null default 0,
    latency bigint[] not null default '{}',
    created_at timestamptz not null default now(),
    primary key (organization_id, grain, key_id, service_id, operation_id, bucket, status_class)
) partition by list (grain);
create table usage_summary_hour partition of usage_summary for values in ('hour') with (fillfactor = 60);
create table usage_summary_day partition of usage_summary for values in ('day') with (fillfactor = 60);
create table usage_summary_week partition of usage_summary for values in ('week') with (fillfactor = 60);
create index usage_summary_bucket on usage_summary (bucket);
comment on table usage_summary is
    'Sums of usage_rollup; ffffffff-ffff-ffff-ffff-ffffffffffff stands for a dimension that is summed up.';
"""

# What was folded before this: first each operation, then its sums.
SUMS = """requests, errors, refused, bytes_in, bytes_out, upstream_us_sum, total_us_sum, cost_micro"""
COLUMNS = f"organization_id, key_id, service_id, operation_id, bucket, grain, status_class, {SUMS}, latency"
TOTALS = ", ".join(f"sum({name})::bigint" for name in SUMS.split(", "))
EVERY = "'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid"
FILL = f"""
with part as (
    select organization_id, bucket, grain, status_class, {SUMS}, latency, s.service_id, s.operation_id
      from usage_rollup r cross join lateral (values
           (r.service_id, r.operation_id), (r.service_id, {EVERY}), ({EVERY}, {EVERY})) as s (service_id, operation_id)
     where r.grain in ('hour', 'day') and r.organization_id <> '00000000-0000-0000-0000-000000000000'
), sums as (
    select organization_id, service_id, operation_id, bucket, grain, status_class, {TOTALS} from part
     group by 1, 2, 3, 4, 5, 6
), counts as (
    select organization_id, service_id, operation_id, bucket, grain, status_class, u.place, sum(u.n)::bigint as n
      from part, unnest(latency) with ordinality as u (n, place) group by 1, 2, 3, 4, 5, 6, 7
), latencies as (
    select organization_id, service_id, operation_id, bucket, grain, status_class, array_agg(n order by place) as latency
      from counts group by 1, 2, 3, 4, 5, 6
)
insert into usage_summary ({COLUMNS})
select s.organization_id, {EVERY}, s.service_id, s.operation_id, s.bucket, s.grain, s.status_class,
       {", ".join(f"s.sum_{name}" for name in SUMS.split(", "))}, coalesce(l.latency, '{{}}')
  from sums as s (organization_id, service_id, operation_id, bucket, grain, status_class,
                  {", ".join(f"sum_{name}" for name in SUMS.split(", "))})
  left join latencies l using (organization_id, service_id, operation_id, bucket, grain, status_class);
insert into usage_summary ({COLUMNS})
select organization_id, key_id, {EVERY}, {EVERY}, date_trunc('week', bucket, 'UTC'), 'week', 0, {TOTALS}, '{{}}'
  from usage_rollup where grain = 'day' and organization_id <> '00000000-0000-0000-0000-000000000000'
 group by 1, 2, 5;
"""


async def _execute(script):
    transaction = engine_finder().current_transaction.get()
    await transaction.connection.execute(script)


async def forwards():
    manager = MigrationManager(migration_id=ID, app_name="paid_endpoint", description=DESCRIPTION)

    async def run():
        await _execute(TABLE)
        await _execute(FILL)

    async def run_backwards():
        await _execute("drop table usage_summary")

    manager.add_raw(run)
    manager.add_raw_backwards(run_backwards)
    return manager
