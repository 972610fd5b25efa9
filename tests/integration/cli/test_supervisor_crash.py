"""Whatever a crash left, the next start works, and what is not ours is not touched."""

import os
import signal
import subprocess
import sys
import time

import pytest

from cli.supervisor.failures import SupervisorError
from cli.supervisor.postgres_leftovers import clear_leftovers, pid_file_fields
from cli.supervisor.processes import start_ticks
from cli.supervisor.services import EmbeddedServices
from tests.integration.cli.processes import HOLD_SERVICES, processes_in, start_python, wait_until


def test_a_killed_supervisor_leaves_no_process(tmp_path):
    supervisor = start_python(HOLD_SERVICES, tmp_path / "data")
    assert len(processes_in(tmp_path)) > 2
    supervisor.kill()
    supervisor.communicate()
    wait_until(lambda: processes_in(tmp_path) == [])
    with EmbeddedServices(tmp_path / "data") as services:
        assert services.postgres.running


def test_orphans_of_an_earlier_supervisor_are_ended(tmp_path):
    """Orphans that the kernel did not end, as on a system without PDEATHSIG: made by switching the signal off."""
    script = HOLD_SERVICES.replace("import sys", "import cli.supervisor.processes as p; p._prctl = None; import sys")
    supervisor = start_python(script, tmp_path / "data")
    supervisor.kill()
    supervisor.communicate()
    orphan = int(pid_file_fields(tmp_path / "data/postgres")[0])
    ticks = start_ticks(orphan)
    assert ticks is not None
    with EmbeddedServices(tmp_path / "data") as services:
        assert start_ticks(orphan) != ticks
        assert services.postgres.running
        assert services.valkey.running
    assert processes_in(tmp_path) == []


@pytest.mark.parametrize("owner", ["dead", "stranger", "garbage"])
def test_a_stale_pid_file_hinders_nobody(tmp_path, owner):
    with EmbeddedServices(tmp_path / "data"):
        pass
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    pid = {"dead": str(dead.pid), "stranger": str(stranger.pid), "garbage": "999999999"}[owner]
    for name, text in (("postgres/postmaster.pid", f"{pid}\n/somewhere\n1\n5432\n\n\n\nready\n"), ("up.lock", pid)):
        (tmp_path / "data" / name).write_text(text)
    (tmp_path / "data/valkey.pid").write_text(f"{pid} 12345\n")
    with EmbeddedServices(tmp_path / "data") as services:
        assert services.postgres.running
        assert services.valkey.running
    assert stranger.poll() is None, "a process that is not ours was ended"
    stranger.communicate()


def test_a_postgres_of_another_directory_is_left_alone(tmp_path, embedded_services):
    other = tmp_path / "other"
    other.mkdir()
    theirs = (embedded_services.postgres.directory / "postmaster.pid").read_text()
    (other / "postmaster.pid").write_text(theirs)
    assert clear_leftovers(other)
    assert embedded_services.postgres.running
    assert not (other / "postmaster.pid").exists()


def test_a_half_made_cluster_is_made_anew(tmp_path):
    unfinished = tmp_path / "data/postgres.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with EmbeddedServices(tmp_path / "data") as services:
        assert services.postgres.running
    assert not unfinished.exists()


def test_two_at_once_on_one_directory(tmp_path, embedded_services):
    begin = time.monotonic()
    with pytest.raises(SupervisorError, match=rf"process {os.getpid()} .* runs it already"):
        EmbeddedServices(embedded_services.data_dir).__enter__()
    assert time.monotonic() - begin < 2
    assert embedded_services.postgres.running


def test_a_crash_is_explained_by_the_last_words(tmp_path, embedded_services):
    postgres = embedded_services.postgres
    postgres.process.send_signal(signal.SIGINT)
    postgres.process.wait()
    assert "shut down" in postgres.explain("ended").message
