"""Takes a backup: every table of one moment, while everybody goes on working.

One transaction sees all of it. Not `pg_dump`: that needs a program of the server's version on the machine, which our
image does not have; the schema is that of our migrations in any case, so only rows have to be kept (decision 49).
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from domain.backups.archive import new_backup
from domain.backups.manifest import Manifest, fingerprints
from domain.backups.needed_logs import left_out
from domain.backups.tables import StoredTable, quoted, sequences, tables
from domain.faults import SchemaMismatch
from domain.migrating import applied_migrations, known_migrations
from domain.settings import Settings

# Whatever the session was set to: rows are written in one way.
STANDARD = """
set local datestyle = 'ISO'; set local intervalstyle = 'postgres'; set local timezone = 'UTC'; set local bytea_output = 'hex';
set local extra_float_digits = 1; set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0;
"""


async def take(
    connection: Any, settings: Settings, path: Path, *, logs: bool = True, secrets: bool = False
) -> Manifest:
    """Write a backup to `path`, which must not be there; what is in it.

    Without `logs` only those days of request logs are kept which the ledger and the sums need. Raises Conflict,
    SchemaMismatch, OSError.
    """
    with new_backup(path) as backup:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(STANDARD)
            # Its partitions with it: retention waits for us, instead of taking one from under us.
            if await connection.fetchval("select to_regclass('request_log')"):
                await connection.execute("lock table request_log in access share mode")
            migrations = await applied_migrations(connection)
            if migrations != set(known_migrations()):
                raise SchemaMismatch(
                    "The database is not at this version's schema: run `paid-endpoint migrate`, or that version."
                )
            found = await tables(connection)
            skipped = set() if logs else await left_out(connection, found, datetime.now(UTC).date())
            saved = [
                await backup.add(table, _rows_of(connection, table)) for table in found if table.name not in skipped
            ]
            stands = await sequences(connection)
            server = await connection.fetchval("show server_version")
        if secrets:
            backup.add_secrets(_secrets_of(settings))
        manifest = Manifest(
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            server=server,
            migrations=sorted(migrations),
            logs=logs,
            secrets=secrets,
            peppers=fingerprints(settings.keys.pepper_by_version),
            secret_keys=fingerprints(sealing_keys(settings)),
            tables=saved,
            sequences=stands,
        )
        backup.finish(manifest)
    return manifest


def _rows_of(connection: Any, table: StoredTable) -> Callable[[Callable[[bytes], Awaitable[None]]], Awaitable[int]]:
    statement = f"select {', '.join(map(quoted, table.columns))} from only {quoted(table.name)}"

    async def rows(write: Callable[[bytes], Awaitable[None]]) -> int:
        done: str = await connection.copy_from_query(statement, output=write, format="text", timeout=None)
        return int(done.rpartition(" ")[2])

    return rows


def sealing_keys(settings: Settings) -> dict[int, bytes]:
    """SECRET_KEYS by version; none where an instance runs without them."""
    return settings.secrets.key_by_version if settings.secrets.keys.get_secret_value() else {}


def _secrets_of(settings: Settings) -> str:
    pairs = {"KEY_PEPPERS": settings.keys.peppers, "SECRET_KEYS": settings.secrets.keys}
    return "".join(f"{name}={value.get_secret_value()}\n" for name, value in pairs.items() if value.get_secret_value())
