"""Disks that are full, folders that are not ours, files that somebody changed on purpose: each ends in a sentence about the file."""

import asyncio
import fcntl
import os
import subprocess
import sys
import zipfile

import pytest

from domain.backups.archive import MANIFEST
from tests.backups import Ran, command
from tests.gateways import PEPPERS, ROOT, connected, make_tenant
from tests.integration.backups.test_refusals import empty, restored, saved, saved_once, tables_of

__all__ = ["empty", "saved", "saved_once"]


def on_a_small_disk(url, *arguments, size: int) -> Ran:
    """As on a disk with no more room than so many bytes for a file."""
    # Without bytecode: Python 3.11 takes no notice that only the beginning was written, and others would import that.
    own = {"PYTHONPATH": str(ROOT), "DATABASE_URL": url, "KEY_PEPPERS": PEPPERS, "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        ["prlimit", f"--fsize={size}", sys.executable, "-m", "cli.main", *map(str, arguments)],
        env={**os.environ, **own}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return Ran(ran.returncode, ran.stdout, ran.stderr)


@pytest.mark.parametrize("size", [100, 3_000, 9_000])
async def test_a_full_disk_leaves_nothing_and_is_called_one(fresh_database_url, tmp_path, size):
    async with connected(fresh_database_url) as connection:
        await make_tenant(connection, "kept")
    ran = await asyncio.to_thread(on_a_small_disk, fresh_database_url, "backup", tmp_path / "b.zip", size=size)
    assert ran.status == 1
    assert "Traceback" not in ran.err
    assert "b.zip cannot be written: File too large" in ran.err
    assert "database" not in ran.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x" * 300 + ".zip", "file/b.zip"])
async def test_a_place_that_cannot_be_written_is_named(fresh_database_url, tmp_path, name):
    (tmp_path / "file").write_text("")
    ran = await command(fresh_database_url, "backup", tmp_path / name)
    assert (ran.status, "database" in ran.err, "Traceback" in ran.err) == (1, False, False)


async def test_two_backups_to_one_name_at_once_leave_one_of_them(fresh_database_url, tmp_path):
    async with connected(fresh_database_url) as connection:
        await make_tenant(connection, "kept")
    file = tmp_path / "b.zip"
    runs = await asyncio.gather(*(command(fresh_database_url, "backup", file) for _ in range(3)))
    assert sorted(run.status for run in runs) == [0, 1, 1]
    assert list(tmp_path.iterdir()) == [file]


async def test_what_a_killed_backup_left_is_no_obstacle_and_goes_with_the_next(fresh_database_url, tmp_path):
    async with connected(fresh_database_url) as connection:
        await make_tenant(connection, "kept")
    file = tmp_path / "b.zip"
    left, begun = (tmp_path / f".a.zip.{number}.backup-draft" for number in (1, 2))
    for draft in (left, begun):
        draft.write_bytes(b"half a backup with secrets")
    os.utime(left, (0, 0))
    with begun.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        os.utime(begun, (0, 0))
        assert (await command(fresh_database_url, "backup", file)).status == 0
    assert (left.exists(), begun.exists()) == (False, True)


@pytest.mark.parametrize("what", ["encrypted", "method", "huge", "member", "manifest", "columns"])
async def test_a_file_that_was_changed_on_purpose_is_refused_in_a_sentence(saved, empty, what):
    ran = await restored(empty, _changed_on_purpose(saved, what))
    assert (ran.status, "Traceback" in ran.err) == (1, False), ran.err
    if await tables_of(empty):
        async with connected(empty) as connection:
            assert await connection.fetchval("select count(*) from organization") == 0


def _changed_on_purpose(saved, what):
    copy = saved.with_name("changed.zip")
    if what in ("encrypted", "method"):
        data = bytearray(saved.read_bytes())
        with zipfile.ZipFile(saved) as archive:
            info = archive.getinfo("tables/api_key.copy")
        central = data.rindex(b"tables/api_key.copy") - 46
        if what == "encrypted":
            data[info.header_offset + 6] |= 1
            data[central + 8] |= 1
        else:
            data[central + 10] = data[info.header_offset + 8] = 97
        copy.write_bytes(bytes(data))
        return copy
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            data = source.read(name)
            if name == MANIFEST:
                data = {
                    "huge": b"[" * 1_000_000,
                    "manifest": b'{"format": 1, "tables": 7}',
                    "columns": data.replace(b'"columns": [', b'"columns": [7, ', 1),
                }.get(what, data)
            if what != "member" or name != "tables/api_key.copy":
                target.writestr(name, data)
    return copy


async def test_a_backup_that_others_can_read_is_told(saved, empty):
    saved.chmod(0o644)
    ran = await restored(empty, saved, "--check")
    assert ran.status == 0
    assert "can be read by others" in ran.err
    saved.chmod(0o600)
    assert "others" not in (await restored(empty, saved, "--check")).err


async def test_of_two_restores_at_once_one_is_made_and_the_other_says_why_not(saved, empty):
    runs = await asyncio.gather(restored(empty, saved), restored(empty, saved))
    assert sorted(run.status for run in runs) == [0, 1], [run.err for run in runs]
    refused = next(run for run in runs if run.status)
    assert "Traceback" not in refused.err
    assert "not empty" in refused.err or "use the database" in refused.err
    assert (await command(empty, "credits", "reconcile")).status == 0
