"""What reports over all organizations read: sums over everybody, refusals by reason, first times, and indexes."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-27T01:20:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "sums over all organizations, refusals, usage by organization, milestones, indexes for reports"

EVERY = "'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid"
NOBODY = "'00000000-0000-0000-0000-000000000000'::uuid"

TABLES = """
alter table usage_summary drop constraint ck_usage_summary_grain;
alter table usage_summary add constraint ck_usage_summary_grain check (grain in ('minute', 'hour', 'day', 'week'));
create table usage_summary_minute partition of usage_summary for values in ('minute') with (fillfactor = 60);

create table organization_usage (
    grain text not null constraint ck_organization_usage_grain check (grain in ('day', 'week', 'month')),
    bucket timestamptz not null,
    organization_id uuid not null,
    requests bigint not null default 0,
    errors bigint not null default 0,
    refused bigint not null default 0,
    cost_micro bigint not null default 0,
    created_at timestamptz not null default now(),
    primary key (grain, bucket, organization_id)
) with (fillfactor = 70);
comment on table organization_usage is
    'Sums of usage_rollup by organization, one narrow row each: who may be among the first of a window.';

create table refusal_summary (
    organization_id uuid not null,
    grain text not null constraint ck_refusal_summary_grain check (grain in ('hour', 'day', 'week')),
    bucket timestamptz not null,
    service_id uuid not null,
    operation_id uuid not null,
    refusal text not null,
    limit_name text not null,
    limit_id uuid not null,
    requests bigint not null default 0,
    created_at timestamptz not null default now(),
    primary key (organization_id, grain, bucket, service_id, operation_id, refusal, limit_name, limit_id)
) with (fillfactor = 70);
create index refusal_summary_bucket on refusal_summary (grain, bucket);
comment on table refusal_summary is
    'Refused requests by reason; refusal shadow: admitted, but a shadow limit (limit_id) had no room.'
    ' Organization ffffffff-ffff-ffff-ffff-ffffffffffff: all of them together.';

create table organization_milestone (
    organization_id uuid primary key references organization (id) on delete cascade,
    created_at timestamptz not null default now(),
    signed_up_at timestamptz not null,
    verified_at timestamptz,
    first_key_at timestamptz,
    first_call_at timestamptz,
    first_success_at timestamptz,
    first_priced_at timestamptz,
    paid_plan_at timestamptz
) with (fillfactor = 80);
create index organization_milestone_signed_up_at on organization_milestone (signed_up_at)
    include (verified_at, first_key_at, first_call_at, first_success_at, first_priced_at, paid_plan_at);
comment on table organization_milestone is
    'When each organization did something for the first time: triggers write it, and folding usage the calls.';
"""

TRIGGERS = """
create function paid_endpoint_milestone() returns trigger language plpgsql as $$
begin
    if tg_table_name = 'organization' then
        insert into organization_milestone (organization_id, signed_up_at) values (new.id, new.created_at)
            on conflict do nothing;
    elsif tg_table_name = 'api_key' then
        update organization_milestone set first_key_at = new.created_at
         where organization_id = new.organization_id and first_key_at is null;
    elsif tg_table_name = 'subscription' then
        update organization_milestone set paid_plan_at = greatest(new.started_at, signed_up_at)
         where organization_id = new.organization_id and paid_plan_at is null and new.state = 'active'
           and coalesce((select (v.terms->>'price_cents')::bigint from plan_version v where v.id = new.plan_version_id),
                        (select p.price_cents from plan p where p.id = new.plan_id)) > 0;
    elsif tg_table_name = 'membership' then
        update organization_milestone m set verified_at = u.email_verified_at from users u
         where m.organization_id = new.organization_id and m.verified_at is null
           and u.id = new.user_id and u.email_verified_at is not null;
    else
        update organization_milestone m set verified_at = new.email_verified_at from membership s
         where s.user_id = new.id and m.organization_id = s.organization_id and m.verified_at is null;
    end if;
    return null;
end $$;
create trigger organization_milestone after insert on organization
    for each row execute function paid_endpoint_milestone();
create trigger api_key_milestone after insert on api_key
    for each row execute function paid_endpoint_milestone();
create trigger membership_milestone after insert on membership
    for each row execute function paid_endpoint_milestone();
create trigger subscription_milestone after insert or update of state, plan_id, plan_version_id on subscription
    for each row execute function paid_endpoint_milestone();
create trigger users_milestone after update of email_verified_at on users
    for each row when (new.email_verified_at is not null) execute function paid_endpoint_milestone();
"""

# Of the sums over everybody, those of services and those of operations: a window is one range of either.
INDEXES = f"""
create index refusal_summary_shadow on refusal_summary (grain, bucket)
    where refusal = 'shadow' and organization_id <> {EVERY};
create index refusal_summary_all_shadow on refusal_summary (grain, bucket)
    where refusal = 'shadow' and organization_id = {EVERY};
create index usage_summary_services on usage_summary (bucket)
    where organization_id = {EVERY} and operation_id = {EVERY};
create index usage_summary_operations on usage_summary (bucket)
    where organization_id = {EVERY} and operation_id <> {EVERY};
create index credit_entry_flow on credit_entry (created_at) include (type, credit, amount_micro, organization_id)
    where type <> 'usage';
create index api_key_hygiene on api_key (last_used_at, id)
    include (created_at, expires_at, allowed_ips, organization_id) where revoked_at is null;
create index outbox_message_failed on outbox_message (ended_at) where state = 'failed';
create index webhook_delivery_failed on webhook_delivery (ended_at) where state = 'failed';
"""

SUMS = "requests, errors, refused, bytes_in, bytes_out, upstream_us_sum, total_us_sum, cost_micro"
NAMES = SUMS.split(", ")
TOTALS = ", ".join(f"sum({name})::bigint as {name}" for name in NAMES)
KEY = "service_id, operation_id, bucket, grain, status_class"
# What was folded before this. Sums of every operation are there for each organization; what is nobody's is in rollups.
FILL = f"""
with days as (
    select {KEY}, {SUMS}, latency from usage_summary
     where key_id = {EVERY} and organization_id <> {EVERY} and grain in ('hour', 'day')
    union all
    select s.service_id, s.operation_id, bucket, grain, status_class, {SUMS}, latency
      from usage_rollup r cross join lateral (values
           (r.service_id, r.operation_id), (r.service_id, {EVERY}), ({EVERY}, {EVERY})) as s (service_id, operation_id)
     where organization_id = {NOBODY} and grain in ('hour', 'day')
    union all
    select {EVERY}, {EVERY}, bucket, grain, status_class, {SUMS}, latency from usage_rollup where grain = 'minute'
), part as (
    select * from days
    union all
    select service_id, operation_id, date_trunc('week', bucket, 'UTC'), 'week', status_class, {SUMS}, latency
      from days where grain = 'day'
), sums as (
    select {KEY}, {TOTALS} from part group by {KEY}
), counts as (
    select {KEY}, u.place, sum(u.n)::bigint as n
      from part, unnest(latency) with ordinality as u (n, place) group by {KEY}, u.place
), latencies as (
    select {KEY}, array_agg(n order by place) as latency from counts group by {KEY}
)
insert into usage_summary (organization_id, key_id, {KEY}, {SUMS}, latency)
select {EVERY}, {EVERY}, {", ".join(f"s.{name}" for name in (KEY + ", " + SUMS).split(", "))}, coalesce(l.latency, '{{}}')
  from sums s left join latencies l using ({KEY});
insert into organization_usage (grain, bucket, organization_id, requests, errors, refused, cost_micro)
select g.grain, date_trunc(g.grain, s.bucket, 'UTC'), s.organization_id, sum(s.requests)::bigint, sum(s.errors)::bigint,
       sum(s.refused)::bigint, sum(s.cost_micro)::bigint
  from usage_summary s cross join unnest(array['day', 'week', 'month']) as g (grain)
 where s.grain = 'day' and s.key_id = {EVERY} and s.service_id = {EVERY} and s.organization_id <> {EVERY}
 group by 1, 2, 3;
insert into organization_milestone (organization_id, signed_up_at, verified_at, first_key_at, first_call_at,
    first_success_at, first_priced_at, paid_plan_at)
select o.id, o.created_at,
       (select min(u.email_verified_at) from membership m join users u on u.id = m.user_id where m.organization_id = o.id),
       (select min(k.created_at) from api_key k where k.organization_id = o.id),
       greatest(c.call, o.created_at), greatest(c.success, o.created_at), greatest(c.priced, o.created_at),
       (select greatest(min(s.started_at), o.created_at) from subscription s join plan p on p.id = s.plan_id
          left join plan_version v on v.id = s.plan_version_id
         where s.organization_id = o.id and s.state <> 'trialing'
           and coalesce((v.terms->>'price_cents')::bigint, p.price_cents) > 0)
  from organization o left join lateral (
       select min(bucket) as call, min(bucket) filter (where status_class = 2) as success,
              min(bucket) filter (where cost_micro > 0) as priced
         from usage_summary where organization_id = o.id and grain = 'day' and key_id = {EVERY} and service_id = {EVERY}
          and operation_id = {EVERY}) as c on true;
"""

BACKWARDS = f"""
drop index usage_summary_services, usage_summary_operations, webhook_delivery_failed, outbox_message_failed,
    api_key_hygiene, credit_entry_flow;
drop function paid_endpoint_milestone() cascade;
drop table organization_milestone, refusal_summary, organization_usage, usage_summary_minute;
delete from usage_summary where organization_id = {EVERY};
alter table usage_summary drop constraint ck_usage_summary_grain;
alter table usage_summary add constraint ck_usage_summary_grain check (grain in ('hour', 'day', 'week'));
"""


async def _execute(script):
    transaction = engine_finder().current_transaction.get()
    await transaction.connection.execute(script)


async def forwards():
    manager = MigrationManager(migration_id=ID, app_name="paid_endpoint", description=DESCRIPTION)

    async def run():
        for script in (TABLES, FILL, TRIGGERS, INDEXES):
            await _execute(script)

    async def run_backwards():
        await _execute(BACKWARDS)

    manager.add_raw(run)
    manager.add_raw_backwards(run_backwards)
    return manager
