"""Where rollups by key go beside PostgreSQL once they are old: how far, and those on the way."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-27T09:40:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "log store: old rollups, and how far they have moved"

FORWARDS = """
create table rollup_mark (
    one boolean primary key default true constraint ck_rollup_mark_one check (one),
    sent bigint not null default 0,
    before timestamptz,
    announced_at timestamptz
);
comment on table rollup_mark is
    'One row, once rollups move to LOG_STORE_URL. sent: shipments up to this number are there. before: of the hours and days
that begin earlier some may be there or on the way; announced before the first of them moves.';

create table rollup_shipment (
    number bigint primary key,
    token uuid not null,
    created_at timestamptz not null default now(),
    sent_at timestamptz
);
comment on table rollup_shipment is
    'Old rollups that left usage_rollup together. token: what the log store knows them by. sent_at: since when they are there.';

create table usage_rollup_moved (
    shipment bigint not null references rollup_shipment (number) on delete cascade,
    organization_id uuid not null,
    key_id uuid not null,
    service_id uuid not null,
    operation_id uuid not null,
    bucket timestamptz not null,
    grain text not null,
    status_class smallint not null,
    requests bigint not null,
    errors bigint not null,
    refused bigint not null,
    bytes_in bigint not null,
    bytes_out bigint not null,
    upstream_us_sum bigint not null,
    total_us_sum bigint not null,
    cost_micro bigint not null,
    latency bigint[] not null,
    primary key (organization_id, grain, bucket, key_id, service_id, operation_id, status_class, shipment)
);
create index usage_rollup_moved_shipment on usage_rollup_moved (shipment);
comment on table usage_rollup_moved is
    'Rows of usage_rollup on their way to the log store: out of the one, and counted here until rollup_mark says that they are
in the other, and for as long as who read that mark before may still be reading.';
"""

# What is in the log store alone would be shown no more, and be deleted there as unknown once this is made anew.
BACKWARDS = """
do $$ begin
    if exists (select from rollup_mark where sent > 0) then
        raise exception 'Old rollups are in the log store, and no other version finds them: stay at this one, or restore a backup.'
            using errcode = 'restrict_violation';
    end if;
end $$;
insert into usage_rollup as r (organization_id, key_id, service_id, operation_id, bucket, grain, status_class, requests, errors,
                               refused, bytes_in, bytes_out, upstream_us_sum, total_us_sum, cost_micro, latency)
select organization_id, key_id, service_id, operation_id, bucket, grain, status_class, requests, errors, refused, bytes_in,
       bytes_out, upstream_us_sum, total_us_sum, cost_micro, latency
  from usage_rollup_moved m join rollup_shipment s on s.number = m.shipment where s.sent_at is null
on conflict (organization_id, grain, bucket, key_id, service_id, operation_id, status_class) do update set
  requests = r.requests + excluded.requests, errors = r.errors + excluded.errors, refused = r.refused + excluded.refused,
  bytes_in = r.bytes_in + excluded.bytes_in, bytes_out = r.bytes_out + excluded.bytes_out,
  upstream_us_sum = r.upstream_us_sum + excluded.upstream_us_sum, total_us_sum = r.total_us_sum + excluded.total_us_sum,
  cost_micro = r.cost_micro + excluded.cost_micro,
  latency = array(select coalesce(x, 0) + coalesce(y, 0) from unnest(r.latency, excluded.latency) as u (x, y));
drop table usage_rollup_moved, rollup_shipment, rollup_mark;
"""


async def _execute(script):
    transaction = engine_finder().current_transaction.get()
    await transaction.connection.execute(script)


async def forwards():
    manager = MigrationManager(migration_id=ID, app_name="paid_endpoint", description=DESCRIPTION)

    async def run():
        await _execute(FORWARDS)

    async def run_backwards():
        await _execute(BACKWARDS)

    manager.add_raw(run)
    manager.add_raw_backwards(run_backwards)
    return manager
