"""What operators find by its beginning, along indexes."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-27T02:20:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "indexes of the back office's search"

FORWARDS = """
create index users_email_beginning on users (email text_pattern_ops);
create index organization_slug_beginning on organization (slug text_pattern_ops);
create index organization_name_beginning on organization (lower(name) text_pattern_ops);
create index api_key_prefix_beginning on api_key (prefix text_pattern_ops);
"""

BACKWARDS = """
drop index api_key_prefix_beginning;
drop index organization_name_beginning;
drop index organization_slug_beginning;
drop index users_email_beginning;
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
