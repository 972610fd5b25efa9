"""The ingester's tables: how far each journal is stored, which batches are not in the rollups yet; refused requests apart."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns.column_types import Bytea
from piccolo.columns.indexes import IndexMethod
from piccolo.engine.finder import engine_finder

ID = "2026-11-21T02:40:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "journal positions, unfolded batches, decision traces, refused requests in rollups"

FORWARDS = """
create table journal_position (
    journal_id uuid not null,
    consumer text not null constraint ck_journal_position_consumer check (consumer in ('log', 'rollup')),
    segment int not null,
    position bigint not null,
    updated_at timestamptz not null default now(),
    primary key (journal_id, consumer)
);
comment on table journal_position is
    'Up to where each worker''s journal is stored; changed in the transaction that stores. Segment 2147483647: closed.';

create table usage_unfolded (
    stored_at timestamptz primary key default now(),
    owner uuid not null,
    first_at timestamptz not null
);
comment on table usage_unfolded is
    'Batches of request_log (by created_at) that usage_rollup does not hold yet; first_at is the least "at" of a batch.';

alter table usage_rollup add column refused bigint not null default 0;
comment on column usage_rollup.refused is 'Of requests: those that we refused, which no limit counts.';

-- Rows are updated many times: room on their own page keeps an update out of both indexes.
alter table usage_rollup set (fillfactor = 60);
"""

BACKWARDS = """
alter table usage_rollup reset (fillfactor);
alter table usage_rollup drop column refused;
drop table usage_unfolded, journal_position;
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
    manager.add_column(
        table_class_name="RequestLog",
        tablename="request_log",
        column_name="decision",
        db_column_name="decision",
        column_class_name="Bytea",
        column_class=Bytea,
        params={
            "default": None,
            "null": True,
            "primary_key": False,
            "unique": False,
            "index": False,
            "index_method": IndexMethod.btree,
            "choices": None,
            "db_column_name": None,
            "secret": False,
        },
        schema=None,
    )
    return manager
