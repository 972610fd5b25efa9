"""Migrations: forwards, backwards, forwards; at once; Piccolo finds nothing left to do."""

import asyncio
import subprocess
import sys

import asyncpg
import pytest

from domain.faults import DatabaseUnreachable, MigrationFailed, SchemaMismatch
from domain.migrating import ROOT, known_migrations, migrate
from domain.partitions import AHEAD
from tests.databases import empty_database

RUN = "import asyncio, sys; from domain.migrating import migrate; print(len(asyncio.run(migrate(sys.argv[1])).applied))"

AUTO = """
import asyncio, sys
from domain.migration_run import _configure
_configure(sys.argv[1])
from piccolo.apps.migrations.commands.new import AutoMigrationManager
from schema.piccolo_app import APP_CONFIG
found = asyncio.run(AutoMigrationManager(auto_input="n").get_alter_statements(app_config=APP_CONFIG))
sys.exit("\\n".join(statement for part in found for statement in part.statements) or 0)
"""


async def tables_of(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
        return {row["tablename"] for row in rows}
    finally:
        await connection.close()


async def python(*arguments: str, given: str = "") -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate(given.encode())
    return process.returncode, output.decode()


async def test_forwards_backwards_forwards_and_then_nothing_is_left_to_do(database_url):
    async with empty_database(database_url) as url:
        first = await migrate(url)
        assert list(first.applied) == known_migrations()
        assert len(first.partitions) == AHEAD + 2
        tables = await tables_of(url)
        assert {"organization", "api_key", "request_log", "usage_rollup"} < tables

        status, output = await python("-m", "domain.migration_run", "--backwards", given=url)
        assert status == 0, output
        assert await tables_of(url) == {"migration"}

        again = await migrate(url)
        assert again.applied == first.applied
        assert await tables_of(url) == tables
        nothing = await migrate(url)
        assert (nothing.applied, nothing.partitions) == ((), ())

        status, output = await python("-c", AUTO, url)
        assert status == 0, output


async def test_four_processes_at_once_apply_each_migration_once(database_url):
    async with empty_database(database_url) as url:
        results = await asyncio.gather(*(python("-c", RUN, url) for _ in range(4)))
        assert [status for status, _ in results] == [0] * 4, results
        assert sorted(int(output) for _, output in results) == [0, 0, 0, len(known_migrations())]


async def test_a_run_left_behind_by_a_killed_parent_does_not_meet_the_next(database_url):
    async with empty_database(database_url) as url:
        results = await asyncio.gather(*(python("-m", "domain.migration_run", given=url) for _ in range(2)))
        assert [status for status, _ in results] == [0, 0], results
        assert (await migrate(url)).applied == ()


async def test_a_database_of_a_newer_version_is_left_alone(database_url):
    async with empty_database(database_url) as url:
        await migrate(url)
        connection = await asyncpg.connect(url)
        await connection.execute(
            "insert into migration (name, app_name) values ('2099-01-01T00:00:00', 'paid_endpoint')"
        )
        await connection.close()
        with pytest.raises(SchemaMismatch, match="2099"):
            await migrate(url)


async def test_a_migration_that_fails_changes_nothing(database_url):
    async with empty_database(database_url) as url:
        connection = await asyncpg.connect(url)
        await connection.execute("create table request_log (mine int)")
        await connection.close()
        with pytest.raises(MigrationFailed, match="request_log"):
            await migrate(url)
        assert await tables_of(url) == {"request_log"}


async def test_no_database_is_a_clear_error():
    with pytest.raises(DatabaseUnreachable, match="cannot be reached"):
        await migrate("postgresql://postgres@127.0.0.1:1/none")
