"""Indexes for reading one organization's request logs by what is rare: one key of thousands, and answers that were not good."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-26T22:34:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "request logs by key, and those with a status of 400 and above"

FORWARDS = """
create index request_log_key_id_at on request_log (key_id, at desc);
create index request_log_bad on request_log (organization_id, at desc) where status >= 400;
"""

BACKWARDS = "drop index request_log_key_id_at, request_log_bad;"


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
