"""What an organization last bought or was given, along an index: a share of it is its mark of low credits."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-27T02:50:10:000000"
VERSION = "1.38.0"
DESCRIPTION = "indexes of alerts"

FORWARDS = """
create index credit_entry_income on credit_entry (organization_id, created_at desc)
    where credit = 'credits' and type in ('purchase', 'bonus', 'adjustment');
create index alert_state_open on alert_state (organization_id) where level > 0;
"""

BACKWARDS = """
drop index alert_state_open;
drop index credit_entry_income;
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
