"""What Piccolo cannot express of jobs: summaries of logs by day, and the indexes by which runs are found."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-27T01:40:10:000000"
VERSION = "1.38.0"
DESCRIPTION = "log summaries; indexes of job runs"

FORWARDS = """
create table log_summary (
    day date not null,
    organization_id uuid not null,
    key_id uuid not null,
    service_id uuid not null,
    operation_id uuid not null,
    edition smallint not null default 0,
    requests bigint not null,
    errors bigint not null,
    refused bigint not null,
    status_classes bigint[] not null constraint ck_log_summary_status_classes check (cardinality(status_classes) = 6),
    bytes_in bigint not null,
    bytes_out bigint not null,
    upstream_us_sum bigint not null,
    total_us_sum bigint not null,
    total_us_max bigint not null,
    cost_micro bigint not null,
    latency bigint[] not null default '{}',
    created_at timestamptz not null default now(),
    primary key (organization_id, day, key_id, service_id, operation_id, edition)
);
create index log_summary_day on log_summary (day);
comment on table log_summary is
    'Request logs of a UTC day, summed up for ever; 00000000-0000-0000-0000-000000000000 stands for null. Add up editions.';

create index job_run_name on job_run (name, created_at desc);
create index job_run_created_at on job_run (created_at desc, id desc);
create index job_run_open on job_run (created_at) where state in ('waiting', 'running', 'retrying');
create index job_run_failed on job_run (created_at desc) where state = 'failed';
"""

BACKWARDS = """
drop index job_run_name, job_run_created_at, job_run_open, job_run_failed;
drop table log_summary;
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
