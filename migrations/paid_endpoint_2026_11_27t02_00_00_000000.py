"""The back office lists what is newest in tables that have grown large: each of them by an index."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-27T02:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "indexes of the back office's tables"

FORWARDS = """
create index credit_entry_created_at on credit_entry (created_at desc, id desc);
create index api_key_created_at on api_key (created_at desc, id desc);
create index webhook_event_created_at on webhook_event (created_at desc, id desc);
create index webhook_delivery_created_at on webhook_delivery (created_at desc, id desc);
"""

BACKWARDS = """
drop index webhook_delivery_created_at;
drop index webhook_event_created_at;
drop index api_key_created_at;
drop index credit_entry_created_at;
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
