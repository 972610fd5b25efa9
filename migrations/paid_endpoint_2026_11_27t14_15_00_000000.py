"""Of a claim of a trial one thing may change, and once: a keyed digest takes the place of the address."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-27T14:15:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "addresses of trials may become digests"

FORWARDS = """
drop trigger trial_claim_append_only on trial_claim;
create trigger trial_claim_append_only before delete on trial_claim
    for each row execute function paid_endpoint_append_only();
create trigger trial_claim_only_sealed before update on trial_claim for each row
    when (old.email like '%@digest.invalid' or new.email not like '%@digest.invalid'
          or (old.id, old.organization_id, old.created_at) is distinct from (new.id, new.organization_id, new.created_at))
    execute function paid_endpoint_append_only();
"""

BACKWARDS = """
drop trigger trial_claim_only_sealed on trial_claim;
drop trigger trial_claim_append_only on trial_claim;
create trigger trial_claim_append_only before update or delete on trial_claim
    for each row execute function paid_endpoint_append_only();
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
