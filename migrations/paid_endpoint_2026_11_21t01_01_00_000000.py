"""What Piccolo cannot express: partitioned logs, rollups, partial indexes, the change notification."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-21T01:01:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "request logs, rollups, one live subscription, change notification"

# No default partition: rows in it would block attaching the partition of their own day.
REQUEST_LOG = """
create table request_log (
    id uuid not null,
    at timestamptz not null,
    organization_id uuid,
    key_id uuid,
    service_id uuid,
    operation_id uuid,
    method text not null,
    path text not null,
    query text not null default '',
    status smallint not null,
    outcome text not null constraint ck_request_log_outcome
        check (outcome in ('served', 'refused', 'failed', 'cut', 'gone')),
    refusal text,
    limit_name text,
    upstream_us bigint,
    total_us bigint not null,
    bytes_in bigint not null,
    bytes_out bigint not null,
    client inet,
    user_agent text,
    cost_micro bigint not null default 0,
    trace_id text,
    created_at timestamptz not null default now(),
    primary key (id, at)
) partition by range (at);
create index request_log_organization_id_at on request_log (organization_id, at desc);
create index request_log_at on request_log (at desc);
"""

USAGE_ROLLUP = """
create table usage_rollup (
    organization_id uuid not null,
    key_id uuid not null,
    service_id uuid not null,
    operation_id uuid not null,
    bucket timestamptz not null,
    grain text not null constraint ck_usage_rollup_grain check (grain in ('minute', 'hour', 'day')),
    status_class smallint not null constraint ck_usage_rollup_status_class check (status_class between 0 and 5),
    requests bigint not null default 0,
    errors bigint not null default 0,
    bytes_in bigint not null default 0,
    bytes_out bigint not null default 0,
    upstream_us_sum bigint not null default 0,
    total_us_sum bigint not null default 0,
    cost_micro bigint not null default 0,
    latency bigint[] not null default '{}',
    created_at timestamptz not null default now(),
    primary key (organization_id, grain, bucket, key_id, service_id, operation_id, status_class)
);
create index usage_rollup_grain_bucket on usage_rollup (grain, bucket);
"""

ONE_LIVE_SUBSCRIPTION = """
create unique index uq_subscription_live on subscription (organization_id)
    where state in ('trialing', 'active', 'past_due');
"""

# An operator who renames a user in the admin changes one of two columns that must stay the same.
ONE_IDENTITY = """
create function paid_endpoint_user_identity() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and new.email = old.email and new.username <> old.username then
        new.email := new.username;
    end if;
    new.email := lower(new.email);
    new.username := new.email;
    return new;
end $$;
create trigger users_identity before insert or update of email, username on users
    for each row execute function paid_endpoint_user_identity();
"""

# Rows travel as jsonb, so that one function serves every table and a column added later cannot break it.
NOTIFICATION = """
create sequence catalog_generation;

create function paid_endpoint_changed() returns trigger language plpgsql as $$
declare
    before jsonb := case when tg_op in ('UPDATE', 'DELETE') then to_jsonb(old) end;
    after jsonb := case when tg_op in ('INSERT', 'UPDATE') then to_jsonb(new) end;
    part text := case when tg_table_name = 'organization' then 'id' else 'organization_id' end;
begin
    if tg_op = 'UPDATE' and before - 'last_used_at' = after - 'last_used_at' then
        return null;
    end if;
    perform pg_notify('paid_endpoint_catalog', json_build_object(
        't', tg_table_name, 'id', coalesce(after, before) -> 'id', 'org', coalesce(after, before) -> part,
        'g', nextval('catalog_generation'))::text);
    if tg_op = 'UPDATE' and before -> part <> after -> part then
        perform pg_notify('paid_endpoint_catalog', json_build_object(
            't', tg_table_name, 'id', before -> 'id', 'org', before -> part,
            'g', nextval('catalog_generation'))::text);
    end if;
    return null;
end $$;

create function paid_endpoint_truncated() returns trigger language plpgsql as $$
begin
    perform pg_notify('paid_endpoint_catalog', json_build_object(
        't', tg_table_name, 'id', null, 'org', null, 'g', nextval('catalog_generation'))::text);
    return null;
end $$;
"""

NOTIFYING_TABLES = ("organization", "plan", "plan_limit", "subscription", "service", "operation", "api_key")

TRIGGERS = """
create trigger {table}_changed after insert or update or delete on {table}
    for each row execute function paid_endpoint_changed();
create trigger {table}_truncated after truncate on {table}
    for each statement execute function paid_endpoint_truncated();
"""

BACKWARDS = """
drop table if exists request_log, usage_rollup;
drop index uq_subscription_live;
drop function paid_endpoint_user_identity(), paid_endpoint_changed(), paid_endpoint_truncated() cascade;
drop sequence catalog_generation;
"""


async def _execute(script):
    transaction = engine_finder().current_transaction.get()
    await transaction.connection.execute(script)


async def forwards():
    manager = MigrationManager(migration_id=ID, app_name="paid_endpoint", description=DESCRIPTION)

    async def run():
        for script in (REQUEST_LOG, USAGE_ROLLUP, ONE_LIVE_SUBSCRIPTION, ONE_IDENTITY, NOTIFICATION):
            await _execute(script)
        for table in NOTIFYING_TABLES:
            await _execute(TRIGGERS.format(table=table))

    async def run_backwards():
        await _execute(BACKWARDS)

    manager.add_raw(run)
    manager.add_raw_backwards(run_backwards)
    return manager
