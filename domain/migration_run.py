"""One run of Piccolo's migrations, in a process of its own: `python -m domain.migration_run`, the DSN on stdin.

Piccolo finds its engine through a module named `piccolo_conf` and keeps it in global state for the life of the
process. A process that serves this purpose only may supply that module and drop the state with itself, so the caller
can migrate any number of databases, and no DSN stands in an environment or a command line.
"""

import asyncio
import contextlib
import sys
from types import ModuleType

from piccolo.apps.migrations.commands.backwards import run_backwards
from piccolo.apps.migrations.commands.forwards import ForwardsMigrationManager
from piccolo.conf.apps import AppRegistry
from piccolo.engine.postgres import PostgresEngine

APP = "paid_endpoint"

RUN_LOCK = 7_236_118_004
"""Advisory lock (transaction scope) of the run itself: a run whose parent was killed holds no other lock."""


def _configure(dsn: str) -> PostgresEngine:
    engine = PostgresEngine(config={"dsn": dsn})
    configuration = ModuleType("piccolo_conf")
    vars(configuration).update(DB=engine, APP_REGISTRY=AppRegistry(apps=["schema.piccolo_app"]))
    sys.modules["piccolo_conf"] = configuration
    return engine


async def forwards(dsn: str) -> bool:
    """Run every pending migration; True when all succeeded. All or nothing."""
    # Piccolo notes a migration after its own transaction; within an outer one, both commit together or not at all.
    async with _configure(dsn).transaction() as transaction:
        await transaction.connection.execute("select pg_advisory_xact_lock($1)", RUN_LOCK)
        result = await ForwardsMigrationManager(app_name=APP).run()
    return result.success


async def backwards(dsn: str) -> bool:
    """Undo every migration; True when all succeeded. All or nothing. For tests."""
    async with _configure(dsn).transaction() as transaction:
        await transaction.connection.execute("select pg_advisory_xact_lock($1)", RUN_LOCK)
        result = await run_backwards(APP, "all", auto_agree=True)
    return result.success


if __name__ == "__main__":
    run = backwards if "--backwards" in sys.argv[1:] else forwards
    given = sys.stdin.read().strip()
    with contextlib.redirect_stdout(sys.stderr):
        succeeded = asyncio.run(run(given))
    sys.exit(0 if succeeded else 1)
