"""What was applied is never changed, and is listed newest first."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-27T00:01:30:000000"
VERSION = "1.38.0"
DESCRIPTION = "applied configurations are insert-only"

FORWARDS = """
create index applied_config_created_at on applied_config (created_at desc, id desc);
create trigger applied_config_append_only before update or delete on applied_config
    for each row execute function paid_endpoint_append_only();
create trigger applied_config_never_emptied before truncate on applied_config
    for each statement execute function paid_endpoint_append_only();
"""

BACKWARDS = """
drop trigger applied_config_never_emptied on applied_config;
drop trigger applied_config_append_only on applied_config;
drop index applied_config_created_at;
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
