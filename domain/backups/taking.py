"""Takes a backup: every table of one moment, while everybody goes on working.

One transaction sees all of it. Not `pg_dump`: that needs a program of the server's version on the machine, which our
image does not have; the schema is that of our migrations in any case, so only rows have to be kept (decision 49).
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from domain import audit
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
_WRITABLE = """
select current_setting('transaction_read_only') = 'off' and has_table_privilege('audit_entry', 'insert')
"""


async def take(
    connection: Any, settings: Settings, path: Path, actor: audit.Actor, *, logs: bool = True, secrets: bool = False
) -> Manifest:
    """Write a backup to `path`, which must not be there; what is in it.

    Without `logs` only those days of request logs are kept which the ledger and the sums need. It stands in the audit,
    unless the database or the role can only be read (`may_be_noted`). Raises Conflict, SchemaMismatch, UnwritableBackup.
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
        # The file gets its name only together with its entry.
        async with connection.transaction():
            if await may_be_noted(connection):
                thing = audit.Thing("backup", path.name, path.name)
                after = {"rows": manifest.rows, "logs": logs, "secrets": secrets}
                await audit.record(connection, actor, audit.Verb.BACKUP_TAKE, thing, after=after)
            backup.finish(manifest)
    return manifest


async def may_be_noted(connection: Any) -> bool:
    """Whether the audit can be written: not on a replica, and not by a role that only reads."""
    return bool(await connection.fetchval(_WRITABLE))


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
