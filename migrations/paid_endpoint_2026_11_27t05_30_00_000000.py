"""Where request logs go beside PostgreSQL: whether they do, and which batches are not there yet."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-27T05:30:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "log store: its switch, and the batches that wait to be sent"

FORWARDS = """
create table log_store (
    one boolean primary key default true constraint ck_log_store_one check (one),
    began_at timestamptz not null default now(),
    adopted_at timestamptz,
    rewind_from timestamptz
);
comment on table log_store is
    'One row: batches of request logs are sent to LOG_STORE_URL. adopted_at: since when all that PostgreSQL has is sent or
waits in log_outbox; null: not yet, so readers ask PostgreSQL. rewind_from: after a restore, from which created_at on the
log store has to forget.';

create table log_outbox (
    stored_at timestamptz primary key,
    first_at timestamptz not null,
    last_at timestamptz not null,
    rows int not null,
    shipment uuid
);
create index log_outbox_shipment on log_outbox (shipment) where shipment is not null;
create index log_outbox_first_at on log_outbox (first_at);
comment on table log_outbox is
    'Batches of request_log (by created_at) that the log store does not hold yet, with the least and the greatest "at".
shipment: given before they are sent, and kept until it is known that they arrived.';
"""

BACKWARDS = "drop table log_outbox, log_store;"


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
