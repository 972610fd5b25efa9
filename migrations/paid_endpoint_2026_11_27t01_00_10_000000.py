"""Who was an operator before there were roles has one; the flags that piccolo-admin reads say what the role says."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.constraints import Check
from piccolo.engine.finder import engine_finder

ID = "2026-11-27T01:00:10:000000"
VERSION = "1.38.0"
DESCRIPTION = "roles of present operators"

FORWARDS = """
update users set operator_role = case when superuser then 'superuser' when admin then 'admin' end,
                 admin = admin or superuser;
create index users_operator_role on users (operator_role) where operator_role is not null;
"""

BACKWARDS = """
drop index users_operator_role;
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

    # Raw statements run before constraints are added: by then every row fulfils this one.
    manager.add_constraint(
        table_class_name="User",
        tablename="users",
        constraint_name="ck_users_operator_flags",
        constraint_class=Check,
        params={
            "condition": "admin = (operator_role is not null) and superuser = (operator_role is not distinct from 'superuser')"
        },
        schema=None,
    )
    manager.add_raw(run)
    manager.add_raw_backwards(run_backwards)
    return manager
