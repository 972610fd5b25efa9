"""What the supervisor's tests ask the machine, and how they run a supervisor that may be killed."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cli.supervisor.processes import start_ticks, working_directory

ROOT = Path(__file__).resolve().parents[3]


def wait_until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.02)


def processes_in(directory: Path) -> list[int]:
    """Living processes that work in this directory or below it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and start_ticks(int(entry.name)) is not None:
            where = working_directory(int(entry.name))
            if where and where.is_relative_to(directory):
                found.append(int(entry.name))
    return found


def run_python(script: str, *arguments: object, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )


def start_python(script: str, *arguments: object) -> subprocess.Popen[str]:
    """A script that prints one line when it is ready; returns after that line."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    return process


HOLD_SERVICES = """
import sys, time
from pathlib import Path
from cli.supervisor.services import EmbeddedServices
with EmbeddedServices(Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.read() if len(sys.argv) > 2 else time.sleep(60)
"""
