"""Jobs are sent in turn of their organizations, and those that ended long ago are deleted: along indexes."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-27T09:42:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "indexes of jobs by organization, and of jobs that ended"

FORWARDS = """
create index async_job_waiting on async_job (service_id, organization_id, due_at) where due_at is not null and not working;
create index async_job_at_work on async_job (service_id, organization_id) where working;
drop index async_job_working;
create index async_job_ended on async_job (ended_at) where ended_at is not null;
"""

BACKWARDS = """
drop index async_job_ended;
create index async_job_working on async_job (service_id) where working;
drop index async_job_at_work;
drop index async_job_waiting;
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
