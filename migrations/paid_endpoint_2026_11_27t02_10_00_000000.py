"""A payment that an operator books by hand is booked once, whatever organization it is booked for."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-27T02:10:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "payments are booked once"

FORWARDS = """
create unique index uq_credit_entry_payment on credit_entry (idempotency_key) where idempotency_key like 'payment:%';
"""

BACKWARDS = """
drop index uq_credit_entry_payment;
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
