"""Bring a database to this code's schema: safe to run twice, and by several processes at once."""

import asyncio
import re
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import asyncpg

from domain.faults import DatabaseUnreachable, MigrationFailed, SchemaMismatch
from domain.partitions import AHEAD, ensure_partitions, today

ROOT = Path(__file__).resolve().parent.parent
MIGRATIONS = ROOT / "migrations"
APP = "paid_endpoint"

MIGRATION_LOCK = 7_236_118_001
"""Advisory lock (session scope) that one migrating process holds."""

LOCK_TIMEOUT = "300s"
CONNECT_TIMEOUT = 10.0

UNREACHABLE = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


@dataclass(frozen=True)
class MigrationReport:
    """What `migrate` did: migrations applied now, how many there are, partitions made now."""

    applied: tuple[str, ...]
    known: int
    partitions: tuple[str, ...]


def known_migrations() -> list[str]:
    """The ids of this code's migrations, oldest first, read from the files without importing them."""
    texts = (path.read_text(encoding="utf-8") for path in MIGRATIONS.glob("*.py"))
    return sorted(found[1] for text in texts if (found := re.search(r'^ID = "([^"]+)"', text, re.MULTILINE)))


async def migrate(dsn: str) -> MigrationReport:
    """Apply what is missing and make the log partitions from yesterday to a week ahead.

    Waits while another process migrates. Raises DatabaseUnreachable, SchemaMismatch, MigrationFailed.
    """
    connection = await _connect(dsn)
    try:
        await connection.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'")
        await connection.execute("select pg_advisory_lock($1)", MIGRATION_LOCK)
        known, applied = known_migrations(), await applied_migrations(connection)
        if newer := sorted(applied - set(known)):
            raise SchemaMismatch(
                f"The database has migration {newer[-1]}, which this version does not know: run a newer version."
            )
        pending = [name for name in known if name not in applied]
        if pending:
            await _run_migrations(dsn)
        day = today()
        made = await ensure_partitions(connection, day - timedelta(days=1), day + timedelta(days=AHEAD))
        return MigrationReport(applied=tuple(pending), known=len(known), partitions=tuple(made))
    except asyncpg.LockNotAvailableError:
        raise MigrationFailed(f"Another process has been migrating for {LOCK_TIMEOUT}.") from None
    finally:
        # Closing the session gives the lock back, whatever happened.
        await connection.close()


async def applied_migrations(connection: asyncpg.Connection) -> set[str]:
    """The ids of the migrations that the database has; empty for a new database."""
    if await connection.fetchval("select to_regclass('migration')") is None:
        return set()
    rows = await connection.fetch("select name from migration where app_name = $1", APP)
    return {row["name"] for row in rows}


async def _connect(dsn: str) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT)
    except UNREACHABLE as error:
        reason = str(error) or type(error).__name__
        raise DatabaseUnreachable(f"The database cannot be reached: {reason}") from error


async def _run_migrations(dsn: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "domain.migration_run",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, errors = await process.communicate(dsn.encode())
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        lines = errors.decode(errors="replace").strip().splitlines()
        raise MigrationFailed("A migration failed and nothing was changed: " + (lines[-1] if lines else "no output"))
