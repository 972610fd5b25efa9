"""A supervisor that is killed while its ingester only starts: what is in the journal is stored all the same."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from domain.journal.journal import Journal
from domain.journal.records import END
from domain.settings import JournalSettings
from tests.conftest import ROOT_FOLDER
from tests.deadlines import until
from tests.journals import record

# As `gateway.server.companion` starts it.
SUPERVISOR = """
import os, signal, subprocess, sys, time
reading, writing = os.pipe()
child = subprocess.Popen(
    [sys.executable, "-m", "gateway.ingester.process", "--life-fd", str(reading), "--supervisor", str(os.getpid())],
    pass_fds=(reading,), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
)
print(child.pid, flush=True)
time.sleep(float(sys.argv[1]))
os.kill(os.getpid(), signal.SIGKILL)
"""


def running(pid: int) -> bool:
    """Whether it runs; an orphan that nobody reaps has ended too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("seconds", [0.0, 0.2, 0.4])
async def test_an_ingester_whose_supervisor_died_before_it_was_up_stores_what_is_there_and_ends(
    tmp_path, fresh_database_url, seconds
):
    journal = Journal(tmp_path / "journal" / uuid4().hex, JournalSettings(segment_mb=1, max_mb=64))
    await journal.start()
    for _ in range(50):
        assert journal.promise()
        journal.append(END, record())
    await journal.stop()
    environment = {
        **os.environ,
        "DATABASE_URL": fresh_database_url,
        "GATEWAY_STATE_DIR": str(tmp_path),
        "GATEWAY_SHUTDOWN_SECONDS": "1",
    }
    killed = subprocess.run(
        [sys.executable, "-c", SUPERVISOR, str(seconds)],
        env=environment, cwd=ROOT_FOLDER, capture_output=True, timeout=20, check=False,
    )  # fmt: skip
    ingester = int(killed.stdout)
    await until(lambda: not running(ingester), 30, "its end")
    connection = await asyncpg.connect(fresh_database_url)
    try:
        assert await connection.fetchval("select count(*) from request_log") == 50
    finally:
        await connection.close()
