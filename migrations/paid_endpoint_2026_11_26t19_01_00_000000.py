"""What Piccolo cannot express of money: entries that nobody changes, partial indexes, the change notification."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-26T19:01:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "ledger entries and plan versions are insert-only; indexes; notification"

APPEND_ONLY = """
create function paid_endpoint_append_only() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: corrections are new rows', tg_table_name using errcode = 'restrict_violation';
end $$;
"""

APPEND_ONLY_TABLES = ("credit_entry", "plan_version", "trial_claim")

APPEND_ONLY_TRIGGERS = """
create trigger {table}_append_only before update or delete on {table}
    for each row execute function paid_endpoint_append_only();
create trigger {table}_never_emptied before truncate on {table}
    for each statement execute function paid_endpoint_append_only();
"""

INDEXES = """
create index credit_entry_organization_id_created_at on credit_entry (organization_id, created_at desc, id desc);
create index credit_entry_refund_of on credit_entry (refund_of) where refund_of is not null;
create index credit_grant_burning on credit_grant (organization_id, priority, expires_at, created_at)
    where remaining_micro > 0;
create index credit_grant_expiring on credit_grant (expires_at) where remaining_micro > 0 and expires_at is not null;
create index credit_lease_holder_id on credit_lease (holder_id);
create index credit_holder_open on credit_holder (created_at) where closed_at is null;
create index credit_reservation_held on credit_reservation (holder_id) where state = 'held';
create index credit_reservation_deadline on credit_reservation (deadline) where state = 'held';
create index credit_reservation_organization_id on credit_reservation (organization_id, created_at desc);
create index idempotent_request_holder on idempotent_request (holder_id) where state = 'running';
create index idempotent_request_expires_at on idempotent_request (expires_at);

-- Rows that change with every batch: room on their own page keeps an update out of the indexes.
alter table credit_account set (fillfactor = 60);
alter table credit_lease set (fillfactor = 60);
alter table credit_grant set (fillfactor = 70);
"""

NOTIFYING_TABLES = ("plan_price", "plan_version", "limit_override")

TRIGGERS = """
create trigger {table}_changed after insert or update or delete on {table}
    for each row execute function paid_endpoint_changed();
create trigger {table}_truncated after truncate on {table}
    for each statement execute function paid_endpoint_truncated();
"""

BACKWARDS = """
alter table credit_grant reset (fillfactor);
alter table credit_lease reset (fillfactor);
alter table credit_account reset (fillfactor);
drop index credit_entry_organization_id_created_at, credit_entry_refund_of, credit_grant_burning, credit_grant_expiring,
    credit_lease_holder_id, credit_holder_open, credit_reservation_held, credit_reservation_deadline,
    credit_reservation_organization_id, idempotent_request_holder, idempotent_request_expires_at;
drop function paid_endpoint_append_only() cascade;
"""


async def _execute(script):
    transaction = engine_finder().current_transaction.get()
    await transaction.connection.execute(script)


async def forwards():
    manager = MigrationManager(migration_id=ID, app_name="paid_endpoint", description=DESCRIPTION)

    async def run():
        for script in (APPEND_ONLY, INDEXES):
            await _execute(script)
        for table in APPEND_ONLY_TABLES:
            await _execute(APPEND_ONLY_TRIGGERS.format(table=table))
        for table in NOTIFYING_TABLES:
            await _execute(TRIGGERS.format(table=table))

    async def run_backwards():
        await _execute(BACKWARDS)
        for table in NOTIFYING_TABLES:
            await _execute(f"drop trigger {table}_changed on {table}; drop trigger {table}_truncated on {table};")

    manager.add_raw(run)
    manager.add_raw_backwards(run_backwards)
    return manager
