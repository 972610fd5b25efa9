"""The grants of one organization, along an index: the back office lists them."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-27T02:40:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "index of the back office's list of grants"

FORWARDS = """
create index credit_grant_organization_id on credit_grant (organization_id, id desc);
"""

BACKWARDS = """
drop index credit_grant_organization_id;
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
