"""Loads a backup into an empty database, whole or not at all: one transaction, whose end compares the counts."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from domain import audit
from domain.backups.archive import StoredBackup
from domain.backups.manifest import ForeignBackup, Manifest, SavedTable, fingerprints
from domain.backups.needed_logs import note_left_out
from domain.backups.settling import settle
from domain.backups.tables import StoredTable, day_of, foreign_keys, has_relations, quoted, tables
from domain.backups.taking import STANDARD, sealing_keys
from domain.faults import Conflict
from domain.migrating import applied_migrations, known_migrations, migrate
from domain.partitions import ensure_partitions
from domain.settings import Settings

_OURS = "paid-endpoint%"
_OTHERS = """
select count(*) from pg_stat_activity
 where datname = current_database() and pid <> pg_backend_pid() and application_name like $1
"""
_OPEN = "select count(*) from credit_holder where closed_at is null"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was loaded. `left_out` are tables of the backup that this version does not make: somebody else's.

    `counted_anew` are log rows that the rollups had lacked. `open_holders` are gateway workers that held credits when the
    backup was made, and whose journals have to end.
    """

    made_at: str
    tables: int
    rows: int
    left_out: list[str]
    counted_anew: int
    open_holders: int


def check_fits(manifest: Manifest, settings: Settings) -> None:
    """Whether this code and these secrets can serve what the backup holds. Raises ForeignBackup."""
    if different := sorted(set(manifest.migrations) ^ set(known_migrations())):
        raise ForeignBackup(
            f"The backup and this version differ in migration {different[-1]}:"
            " restore with the version that made it, then upgrade."
        )
    pairs = {"KEY_PEPPERS": (manifest.peppers, settings.keys.pepper_by_version)}
    pairs["SECRET_KEYS"] = (manifest.secret_keys, sealing_keys(settings))
    for name, (saved, here) in pairs.items():
        present = fingerprints(here)
        if lost := sorted(version for version, text in saved.items() if present.get(version) != text):
            raise ForeignBackup(
                f"{name} lacks version {', '.join(lost)} of the instance that was saved, or has another secret under"
                " that number: what was made under it could not be used. Set it as it was."
            )


async def load(connection: Any, dsn: str, backup: StoredBackup, actor: audit.Actor, *, name: str) -> Restored:
    """Migrate the database of `connection`, and load it; the audit says that the backup `name` was restored.

    Raises Conflict if it is not empty, or in use; DamagedBackup.
    """
    if await connection.fetchval(_OTHERS, _OURS):
        raise Conflict(
            "Processes of this product use the database: stop gateways, portals, back office and jobs first."
        )
    if await has_relations(connection) and await applied_migrations(connection) != set(known_migrations()):
        raise Conflict("The database is not empty, and not of this version.")
    await migrate(dsn)
    manifest = backup.manifest
    for day in sorted(filter(None, (day_of(table.name) for table in manifest.tables if table.rows))):
        await ensure_partitions(connection, day, day)
    async with connection.transaction():
        await connection.execute(STANDARD)
        there = {table.name: table for table in await tables(connection)}
        await _lock_empty(connection, there.values())
        wanted = [table for table in manifest.tables if table.name in there]
        await _fill(connection, backup, wanted, there)
        counted = await settle(connection)
        await note_left_out(connection)
        holders = await connection.fetchval(_OPEN)
        thing = audit.Thing("backup", name, name)
        after = {"made_at": manifest.made_at, "rows": sum(table.rows for table in wanted)}
        await audit.record(connection, actor, audit.Verb.BACKUP_RESTORE, thing, after=after)
    strange = [table.name for table in manifest.tables if table.rows and table.name not in there]
    await connection.execute("analyze")
    return Restored(manifest.made_at, len(wanted), sum(table.rows for table in wanted), strange, counted, holders)


async def _lock_empty(connection: Any, found: Iterable[StoredTable]) -> None:
    """Nobody else reads or writes any table until the end, and none has a row. Raises Conflict."""
    names = [quoted(table.name) for table in found]
    await connection.execute(f"lock table {', '.join(names)} in access exclusive mode")
    full = [name for name in names if await connection.fetchval(f"select exists (select from {name})")]
    if full:
        raise Conflict(f"The database is not empty: {', '.join(full[:3])} has rows. Restore into a new one.")


async def _fill(connection: Any, backup: StoredBackup, wanted: list[SavedTable], there: dict[str, StoredTable]) -> None:
    keys = await foreign_keys(connection)
    for key in keys:
        await connection.execute(f"alter table {key.on_table} drop constraint {quoted(key.name)}")
    for table in there:
        await connection.execute(f"alter table {quoted(table)} disable trigger user")
    for saved in wanted:
        if set(saved.columns) != set(there[saved.name].columns):
            raise ForeignBackup(f"{saved.name} has other columns in the backup than this version makes.")
        await _copy(connection, backup, saved)
    for name, (last, called) in backup.manifest.sequences.items():
        if await connection.fetchval("select to_regclass($1)", quoted(name)):
            await connection.execute("select setval($1::regclass, $2, $3)", quoted(name), last, called)
    for table in there:
        await connection.execute(f"alter table {quoted(table)} enable trigger user")
    # Last, so that each is proved over all rows at once.
    for key in keys:
        await connection.execute(f"alter table {key.on_table} add constraint {quoted(key.name)} {key.definition}")


async def _copy(connection: Any, backup: StoredBackup, table: SavedTable) -> None:
    await connection.copy_to_table(
        table.name, source=backup.rows(table), columns=table.columns, format="text", timeout=None
    )
    found = await connection.fetchval(f"select count(*) from only {quoted(table.name)}")
    if found != table.rows:
        raise ForeignBackup(f"{table.name} has {found} rows, and {table.rows} were saved; nothing was restored.")
