"""What Piccolo cannot express of identity, messages and audit: partial indexes, paging indexes, append-only."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-26T22:16:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "audit entries are insert-only; indexes of identity, messages and audit"

FORWARDS = """
create unique index invitation_open on invitation (organization_id, email)
    where accepted_at is null and withdrawn_at is null;
create index portal_session_expires_at on portal_session (expires_at);
create index user_link_expires_at on user_link (expires_at);
create index users_deletes_at on users (deletes_at) where deletes_at is not null;
create index outbox_message_due_at on outbox_message (due_at) where state = 'waiting';
create index outbox_message_created_at on outbox_message (created_at desc);
create index webhook_event_organization_id on webhook_event (organization_id, created_at desc, id desc);
create index webhook_delivery_due_at on webhook_delivery (due_at) where state = 'waiting';
create index webhook_delivery_organization_id on webhook_delivery (organization_id, created_at desc, id desc);
create index webhook_delivery_endpoint_id on webhook_delivery (endpoint_id, created_at desc);
create index audit_entry_organization_id on audit_entry (organization_id, created_at desc, id desc);
create index audit_entry_actor_id on audit_entry (actor_id, created_at desc) where actor_id is not null;
create index audit_entry_object on audit_entry (object_type, object_id, created_at desc);
create index api_reply_created_at on api_reply (created_at);

create trigger audit_entry_append_only before update or delete on audit_entry
    for each row execute function paid_endpoint_append_only();
create trigger audit_entry_never_emptied before truncate on audit_entry
    for each statement execute function paid_endpoint_append_only();
"""

BACKWARDS = """
drop trigger audit_entry_never_emptied on audit_entry;
drop trigger audit_entry_append_only on audit_entry;
drop index invitation_open, portal_session_expires_at, user_link_expires_at, users_deletes_at, outbox_message_due_at,
    outbox_message_created_at, webhook_event_organization_id, webhook_delivery_due_at,
    webhook_delivery_organization_id, webhook_delivery_endpoint_id, audit_entry_organization_id, audit_entry_actor_id,
    audit_entry_object, api_reply_created_at;
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
