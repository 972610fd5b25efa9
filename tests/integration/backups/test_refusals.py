"""What `backup` does not overwrite and `restore` does not take, and that a refusal changes nothing."""

import json
import shutil
import stat
import zipfile
from pathlib import Path

import asyncpg
import pytest

from domain import audit
from domain.backups.archive import MANIFEST
from domain.migrating import known_migrations
from tests.backups import command, flip_a_byte, ordinary_database
from tests.conftest import copy_template
from tests.gateways import PEPPERS, connected, make_tenant

SECRET_KEYS = "3:" + "4c" * 32
TABLES = "select count(*) from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')"


@pytest.fixture(scope="session")
async def saved_once(server_urls, worker_number, tmp_path_factory):
    """The name of a database of which a backup was made, and the backup."""
    name = f"saved_{worker_number}"
    url = await copy_template(server_urls[0], name)
    async with connected(url) as connection:
        tenant = await make_tenant(connection, "kept")
        thing = audit.Thing("organization", str(tenant.organization_id), "kept")
        await audit.record(
            connection, audit.Actor(), audit.Verb.ORGANIZATION_CREATE, thing, after={"name": "kept", "é": 1.0}
        )
    assert (await command(url, "audit", "seal")).status == 0
    file = tmp_path_factory.mktemp("saved") / "backup.zip"
    assert (await command(url, "backup", file, SECRET_KEYS=SECRET_KEYS)).status == 0
    return name, file


@pytest.fixture
async def saved(saved_once, server_urls, fresh_database_url, tmp_path):
    """A backup of this test's own, and the database that it is of: `fresh_database_url`."""
    name, file = saved_once
    await copy_template(server_urls[0], fresh_database_url.rpartition("/")[2], name)
    return Path(shutil.copy2(file, tmp_path))


@pytest.fixture
async def empty(server_urls, worker_number):
    async with ordinary_database(server_urls[0], f"empty_{worker_number}") as url:
        yield url


async def restored(url, file, *options, **environment):
    return await command(url, "restore", file, *options, **{"SECRET_KEYS": SECRET_KEYS, **environment})


async def tables_of(url):
    async with connected(url) as connection:
        return await connection.fetchval(TABLES)


def changed(file, old, new):
    """The same backup with another manifest."""
    copy = file.with_name("changed.zip")
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(copy, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, data.replace(old, new) if name == MANIFEST else data)
    return copy


async def test_a_backup_is_for_nobody_elses_eyes_and_never_replaced(saved, fresh_database_url, tmp_path):
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    again = await command(fresh_database_url, "backup", saved)
    assert (again.status, "is there already" in again.err) == (1, True)
    assert list(tmp_path.iterdir()) == [saved], "nothing half made stays"


async def test_a_directory_gets_a_file_named_by_the_time(fresh_database_url, tmp_path):
    made = (await command(fresh_database_url, "backup", tmp_path, "--json")).data
    assert [str(file) for file in tmp_path.iterdir()] == [made["file"]]


async def test_secrets_are_not_in_it_unless_they_are_asked_for(saved, fresh_database_url, empty, tmp_path):
    with zipfile.ZipFile(saved) as archive:
        whole = b"".join(archive.read(name) for name in archive.namelist())
    assert b"5a" * 32 not in whole
    assert b"4c" * 32 not in whole
    assert (await restored(empty, saved, "--secrets-to", tmp_path / "none.env")).status == 1

    file, target = tmp_path / "with.zip", tmp_path / "secrets.env"
    await command(fresh_database_url, "backup", file, "--with-secrets", SECRET_KEYS=SECRET_KEYS)
    assert (await restored(empty, file, "--secrets-to", target)).status == 0
    assert target.read_text() == f"KEY_PEPPERS={PEPPERS}\nSECRET_KEYS={SECRET_KEYS}\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert await tables_of(empty) == 0


@pytest.mark.parametrize("where", ["middle", "end"])
async def test_a_damaged_file_is_refused_before_anything_is_made(saved, empty, where):
    if where == "middle":
        with zipfile.ZipFile(saved) as archive:
            member = archive.getinfo("tables/api_key.copy")
        flip_a_byte(saved, member.header_offset + 30 + len(member.filename) + member.compress_size // 2 + 20)
    else:
        saved.write_bytes(saved.read_bytes()[:-40])
    ran = await restored(empty, saved)
    assert ran.status == 1
    assert "Traceback" not in ran.err
    assert await tables_of(empty) == 0


async def test_rows_that_are_not_those_of_the_manifest_are_refused(saved, empty):
    ran = await restored(empty, changed(saved, b'"sha256": "', b'"sha256": "0'))
    assert (ran.status, "are not those that were saved" in ran.err) == (1, True)
    assert await tables_of(empty) == 0


async def test_another_version_is_refused(saved, empty):
    ran = await restored(empty, changed(saved, known_migrations()[-1].encode(), b"2031-01-01T00:00:00:000000"))
    assert (ran.status, "restore with the version that made it" in ran.err) == (1, True)
    assert await tables_of(empty) == 0


@pytest.mark.parametrize(
    ("name", "value"), [("KEY_PEPPERS", "1:" + "6b" * 32), ("SECRET_KEYS", "4:" + "4c" * 32), ("SECRET_KEYS", "")]
)
async def test_other_secrets_are_refused(saved, empty, name, value):
    ran = await restored(empty, saved, **{name: value})
    assert (ran.status, name in ran.err) == (1, True)
    assert await tables_of(empty) == 0


async def test_check_needs_no_database(saved):
    ran = await restored("postgresql://nobody@127.0.0.1:1/none", saved, "--check")
    assert (ran.status, "is whole and fits" in ran.out) == (0, True)


async def test_a_database_with_a_row_is_refused(saved, empty, fresh_database_url):
    ran = await restored(fresh_database_url, saved)
    assert (ran.status, "not empty" in ran.err) == (1, True)


async def test_a_database_that_is_in_use_is_refused(saved, empty):
    user = await asyncpg.connect(empty, server_settings={"application_name": "paid-endpoint gateway"})
    try:
        ran = await restored(empty, saved)
    finally:
        await user.close()
    assert (ran.status, "stop gateways" in ran.err) == (1, True)
    assert await tables_of(empty) == 0


async def test_a_migrated_database_is_empty_and_triggers_and_keys_hold_afterwards(saved, empty):
    assert (await command(empty, "migrate")).status == 0
    ran = await restored(empty, saved)
    assert ran.status == 0, ran.err
    async with connected(empty) as connection:
        assert await connection.fetchval("select count(*) from organization") == 1
        assert not await connection.fetchval("select count(*) from pg_trigger where tgenabled <> 'O'")
        assert await connection.fetchval("select bool_and(convalidated) from pg_constraint where contype = 'f'")
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await connection.execute("delete from organization")
    async with connected(empty) as connection:
        before = await connection.fetchval("select last_value from catalog_generation")
        await connection.execute("update plan set name = name || '!'")
        assert await connection.fetchval("select last_value from catalog_generation") > before


async def test_what_is_restored_is_the_same_schema_and_the_same_rows(saved, empty, fresh_database_url):
    assert (await restored(empty, saved)).status == 0
    async with connected(fresh_database_url) as source, connected(empty) as target:
        for query in (CONSTRAINTS, SEQUENCES):
            assert await source.fetch(query) == await target.fetch(query)
        names = [row["relname"] for row in await source.fetch(ROWS)]
        assert len(names) > 30
        for name in names:
            listed = f'select t::text from "{name}" t {NOT_OURS.get(name, "")} order by 1'
            assert await source.fetch(listed) == await target.fetch(listed), name
    verified = (await command(empty, "audit", "verify", "--no-seal", "--json")).data
    assert (verified["sound"], verified["verified"]) == (True, 1)


NOT_OURS = {
    "audit_entry": "where verb not like 'backup.%'",
    "audit_unsealed": "where entry_id not in (select id from audit_entry where verb like 'backup.%')",
}
"""What the two databases say of backup and restore themselves."""
CONSTRAINTS = """
select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
 where connamespace = 'public'::regnamespace order by 1, 2
"""
SEQUENCES = "select sequencename, last_value from pg_sequences where sequencename not like 'migration%' order by 1"
ROWS = """
select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname <> 'migration'
"""


NOTED = "select verb, object_name, actor_name, after from audit_entry where verb like 'backup.%' order by created_at"


async def test_backup_and_restore_stand_in_the_audit_of_the_database_that_each_is_of(saved, empty, fresh_database_url):
    async with connected(fresh_database_url) as connection:
        ((verb, name, who, after),) = await connection.fetch(NOTED)
        assert (verb, name, who.startswith("paid-endpoint by ")) == ("backup.take", "backup.zip", True)
        with zipfile.ZipFile(saved) as archive:
            manifest = json.loads(archive.read(MANIFEST))
        rows = sum(table["rows"] for table in manifest["tables"])
        assert json.loads(after) == {"rows": rows, "logs": True, "secrets": False}
    assert (await restored(empty, saved)).status == 0
    async with connected(empty) as connection:
        ((verb, name, who, after),) = await connection.fetch(NOTED)
        assert (verb, name, who.startswith("paid-endpoint by ")) == ("backup.restore", "backup.zip", True)
        assert json.loads(after) == {"rows": rows, "made_at": manifest["made_at"]}
    verified = (await command(empty, "audit", "verify", "--json")).data
    assert (verified["sound"], verified["verified"]) == (True, 2)


async def test_a_backup_of_what_can_only_be_read_is_made_and_says_that_it_is_not_noted(
    saved, fresh_database_url, tmp_path
):
    file = tmp_path / "replica.zip"
    reading = f"{fresh_database_url}?default_transaction_read_only=on"
    ran = await command(reading, "backup", file, "--json", SECRET_KEYS=SECRET_KEYS)
    assert (ran.data["audited"], file.exists(), "not stand in the audit" in ran.err) == (False, True, True)
    async with connected(fresh_database_url) as connection:
        assert len(await connection.fetch(NOTED)) == 1


async def test_a_backup_that_fails_is_not_noted(saved, fresh_database_url):
    assert (await command(fresh_database_url, "backup", saved)).status == 1
    async with connected(fresh_database_url) as connection:
        assert len(await connection.fetch(NOTED)) == 1
