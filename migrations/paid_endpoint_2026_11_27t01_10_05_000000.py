"""Every entry of the audit waits for its link; links and heads are never changed; operators' searches have indexes."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-27T01:10:05:000000"
VERSION = "1.38.0"
DESCRIPTION = "audit entries are queued for the chain; links and heads are insert-only; indexes of the audit search"

FORWARDS = """
create function paid_endpoint_await_seal() returns trigger language plpgsql as $$
begin
    insert into audit_unsealed (entry_id) values (new.id);
    return null;
end $$;
create trigger audit_entry_awaits_seal after insert on audit_entry
    for each row execute function paid_endpoint_await_seal();
insert into audit_unsealed (entry_id) select id from audit_entry order by created_at, id;

create trigger audit_link_append_only before update or delete on audit_link
    for each row execute function paid_endpoint_append_only();
create trigger audit_link_never_emptied before truncate on audit_link
    for each statement execute function paid_endpoint_append_only();
create trigger audit_seal_append_only before update or delete on audit_seal
    for each row execute function paid_endpoint_append_only();
create trigger audit_seal_never_emptied before truncate on audit_seal
    for each statement execute function paid_endpoint_append_only();
create index audit_seal_day on audit_seal (day, last_position);

drop index audit_entry_actor_id, audit_entry_object;
create index audit_entry_actor_id on audit_entry (actor_id, created_at desc, id desc) where actor_id is not null;
create index audit_entry_object on audit_entry (object_type, object_id, created_at desc, id desc);
create index audit_entry_created_at on audit_entry (created_at desc, id desc);
create index audit_entry_verb on audit_entry (verb, created_at desc, id desc);
create index audit_entry_organization_verb on audit_entry (organization_id, verb, created_at desc, id desc);
create index audit_entry_actor_name on audit_entry (actor_name, created_at desc, id desc);
create index audit_entry_request_id on audit_entry (request_id, created_at desc, id desc) where request_id <> '';
create index audit_entry_unowned on audit_entry (created_at desc, id desc) where organization_id is null;
"""

BACKWARDS = """
drop index audit_seal_day, audit_entry_created_at, audit_entry_verb, audit_entry_organization_verb, audit_entry_actor_name,
    audit_entry_request_id, audit_entry_unowned, audit_entry_actor_id, audit_entry_object;
create index audit_entry_actor_id on audit_entry (actor_id, created_at desc) where actor_id is not null;
create index audit_entry_object on audit_entry (object_type, object_id, created_at desc);
drop trigger audit_seal_never_emptied on audit_seal;
drop trigger audit_seal_append_only on audit_seal;
drop trigger audit_link_never_emptied on audit_link;
drop trigger audit_link_append_only on audit_link;
drop trigger audit_entry_awaits_seal on audit_entry;
drop function paid_endpoint_await_seal();
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
