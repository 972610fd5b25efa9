"""What Piccolo does not see: a constraint whose condition changes, and a foreign key over two columns."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine.finder import engine_finder

ID = "2026-11-21T02:31:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "a limit's operation is one of its service; a limit may cap requests in progress"

FORWARDS = """
alter table plan_limit drop constraint ck_plan_limit_period;
alter table plan_limit add constraint ck_plan_limit_period
    check (period in ('second', 'minute', 'hour', 'day', 'month', 'concurrent'));
create unique index uq_operation_service_id_id on operation (service_id, id);
alter table plan_limit add constraint fk_plan_limit_service_id_operation_id
    foreign key (service_id, operation_id) references operation (service_id, id) on delete cascade on update cascade;
"""

BACKWARDS = """
alter table plan_limit drop constraint fk_plan_limit_service_id_operation_id;
drop index uq_operation_service_id_id;
delete from plan_limit where period = 'concurrent';
alter table plan_limit drop constraint ck_plan_limit_period;
alter table plan_limit add constraint ck_plan_limit_period
    check (period in ('second', 'minute', 'hour', 'day', 'month'));
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
