"""The journal against SIGKILL and a disk without room, in processes of their own."""

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[4]
MODULES = "tests.integration.domain.journal"
ON_SMALL_DISK = 'mount -t tmpfs -o size=8m tmpfs "$0" && exec "$1" -m {} "$0"'.format(f"{MODULES}.full_disk")


async def figures(*command: str) -> dict[str, Any]:
    """Run it in the repository; the JSON that it prints."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out)


async def may_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    process = await asyncio.create_subprocess_exec(
        "unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt", stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait() == 0


async def test_writers_killed_at_any_instruction_leave_whole_records_or_none(tmp_path):
    seen = await figures(sys.executable, "-m", f"{MODULES}.killed_writers", str(tmp_path), "25", "2")
    assert seen["kills"] == 50
    assert seen["found"] >= seen["acknowledged"] > 10_000
    assert seen["missing"] == seen["wrong"] == seen["duplicates"] == seen["unordered"] == seen["lost"] == 0
    assert not list(tmp_path.iterdir())


async def test_a_full_disk_stops_admission_before_a_record_is_lost(tmp_path):
    if not await may_mount():
        pytest.skip("no right to mount a file system")
    seen = await figures("unshare", "--mount", "sh", "-c", ON_SMALL_DISK, str(tmp_path), sys.executable)
    assert seen["stopped"]
    assert "no room on the disk" in seen["fault"]
    assert 5_000 < seen["first"] < seen["second"]
    assert seen["in_order"]
    assert seen["said"].count("JOURNAL FULL") >= 1
