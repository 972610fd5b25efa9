"""All verbs of a noun are searched along an index too."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-27T01:10:10:000000"
VERSION = "1.38.0"
DESCRIPTION = "index of the audit search by noun"

FORWARDS = "create index audit_entry_noun on audit_entry (split_part(verb, '.', 1), created_at desc, id desc)"

BACKWARDS = "drop index audit_entry_noun"


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
