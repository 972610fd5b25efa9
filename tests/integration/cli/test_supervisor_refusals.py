"""What cannot start says why, and what to do, in one go; and leaves nothing running."""

import os
import shutil
import socket

import pytest

from cli.supervisor.failures import SupervisorError
from cli.supervisor.services import EmbeddedServices
from tests.integration.cli.processes import processes_in, run_python


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize("name", ["postgres", "valkey"])
def test_a_taken_port_is_named_with_its_holder(tmp_path, taken, name):
    services = EmbeddedServices(tmp_path / "data")
    getattr(services, name).port = taken
    with pytest.raises(SupervisorError) as caught:
        services.__enter__()
    assert f"Port {taken}" in caught.value.message
    assert f"process {os.getpid()}" in caught.value.message
    assert "PORT_OFFSET" in caught.value.advice
    assert processes_in(tmp_path) == []


def test_data_of_another_major_version_is_refused_and_kept(tmp_path):
    with EmbeddedServices(tmp_path / "data") as services:
        directory = services.postgres.directory
    (directory / "PG_VERSION").write_text("17\n")
    with pytest.raises(SupervisorError) as caught:
        EmbeddedServices(tmp_path / "data").__enter__()
    assert "made by PostgreSQL 17; the one that runs here is 18" in caught.value.message
    assert "pg_dumpall" in caught.value.advice
    assert (directory / "global").exists()


FULL_DISK = """
import sys
from pathlib import Path
from cli.supervisor.failures import SupervisorError
from cli.supervisor.services import EmbeddedServices
root = Path(sys.argv[1])
if len(sys.argv) > 2:
    try:
        EmbeddedServices(root / "data").__enter__()
    except SupervisorError as error:
        print(error)
    raise SystemExit
with EmbeddedServices(root / "data"):
    pass
filler = root / "filler"
with filler.open("wb", buffering=0) as file:
    try:
        while True:
            file.write(bytes(4096))
    except OSError:
        pass
try:
    EmbeddedServices(root / "data").__enter__()
except SupervisorError as error:
    print(error)
filler.unlink()
with EmbeddedServices(root / "data") as services:
    print("runs again", services.postgres.running, services.valkey.running)
"""


def on_small_disk(directory, megabytes, *arguments):
    mount = f'mount -t tmpfs -o size={megabytes}m,mode=755 none "{directory}" && exec "$@"'
    return run_python(FULL_DISK, directory, *arguments, prefix=("unshare", "-m", "sh", "-c", mount, "sh"))


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs a mount namespace")
def test_a_disk_too_small_for_the_first_start(tmp_path):
    finished = on_small_disk(tmp_path, 40, "first")
    assert "the disk that holds" in finished.stdout, finished.stderr
    assert "is full" in finished.stdout


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs a mount namespace")
def test_a_disk_that_fills_up_is_told_and_loses_nothing(tmp_path):
    finished = on_small_disk(tmp_path, 150)
    lines = finished.stdout.splitlines()
    assert "is full" in lines[0], finished.stdout + finished.stderr
    assert lines[-1] == "runs again True True"
