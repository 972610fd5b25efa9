"""Alerts as operators look at them: the newest that stand, and those that ended last."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-27T05:50:10:000000"
VERSION = "1.38.0"
DESCRIPTION = "indexes of alerts that stand and that ended"

FORWARDS = """
create index alert_state_newest on alert_state (since desc, id) where level > 0;
create index alert_state_left on alert_state (since desc) where level = 0;
create index alert_state_over on alert_state (period_ends desc) where level > 0;
"""

BACKWARDS = """
drop index alert_state_over;
drop index alert_state_left;
drop index alert_state_newest;
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
