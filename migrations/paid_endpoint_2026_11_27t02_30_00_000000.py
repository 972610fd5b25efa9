"""What waits for somebody is found without reading all subscriptions and organizations."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-27T02:30:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "indexes of what waits for somebody"

FORWARDS = """
create index subscription_trial_ends_at on subscription (trial_ends_at) where state = 'trialing';
create index subscription_past_due on subscription (id) where state = 'past_due';
create index organization_suspended on organization (id) where state = 'suspended';
"""

BACKWARDS = """
drop index organization_suspended;
drop index subscription_past_due;
drop index subscription_trial_ends_at;
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
