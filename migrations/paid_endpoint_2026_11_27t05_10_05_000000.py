"""Jobs are found along indexes: an organization's, those to be sent, those overdue, those at work, results to drop."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-27T05:10:05:000000"
VERSION = "1.38.0"
DESCRIPTION = "indexes of jobs"

FORWARDS = """
create index async_job_organization_id on async_job (organization_id, created_at desc, id desc);
create index async_job_created_at on async_job (created_at desc);
create index async_job_due_at on async_job (service_id, due_at) where due_at is not null;
create index async_job_deadline on async_job (deadline) where ended_at is null;
create index async_job_open on async_job (organization_id) where ended_at is null;
create index async_job_working on async_job (service_id) where working;
create index async_job_result on async_job (ended_at) where result is not null;
create index async_job_uncounted on async_job (ended_at) where charged_micro > 0 and not counted;
create index async_job_charged on async_job (ended_at) where charged_micro > 0;
"""

BACKWARDS = """
drop index async_job_charged;
drop index async_job_uncounted;
drop index async_job_result;
drop index async_job_working;
drop index async_job_open;
drop index async_job_deadline;
drop index async_job_due_at;
drop index async_job_created_at;
drop index async_job_organization_id;
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
