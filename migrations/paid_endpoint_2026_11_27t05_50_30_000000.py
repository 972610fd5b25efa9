"""Two more kinds of alerts. Piccolo does not see that a constraint says something else."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-27T05:50:30:000000"
VERSION = "1.38.0"
DESCRIPTION = "kinds of alerts that customers choose"

FORWARDS = """
alter table alert_state drop constraint ck_alert_state_kind;
alter table alert_state add constraint ck_alert_state_kind
    check (kind in ('usage', 'spend_cap', 'credits_low', 'usage_errors', 'usage_cost', 'error_rate', 'day_cost'));
"""

BACKWARDS = """
delete from alert_state where kind in ('usage_errors', 'usage_cost');
alter table alert_state drop constraint ck_alert_state_kind;
alter table alert_state add constraint ck_alert_state_kind
    check (kind in ('usage', 'spend_cap', 'credits_low', 'error_rate', 'day_cost'));
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
