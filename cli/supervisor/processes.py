"""Child processes that cannot outlive us, and proof of which process is which.

A process is told by its id *and* its start time: ids are used again, in a container often at once.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from cli.supervisor.account import Account

POLL_SECONDS = 0.02
_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None


def start_ticks(pid: int) -> int | None:
    """When the process started, in kernel ticks since boot; None if there is no such process or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def working_directory(pid: int) -> Path | None:
    """Where the process stands; None if it is gone or not ours to ask."""
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd"))  # noqa: PTH115  Path.readlink would do; this says what is read
    except OSError:
        return None


def command_line(pid: int) -> str:
    """What the process was started with, for people; empty if unknown."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def spawn(
    arguments: Sequence[str],
    *,
    directory: Path,
    log: IO[bytes] | int,
    environment: Mapping[str, str] | None,
    account: Account | None = None,
    at_our_death: signal.Signals = signal.SIGTERM,
    standard_input: bytes = b"",
) -> subprocess.Popen[bytes]:
    """Start a child in its own session; the kernel sends it `at_our_death` if we die without stopping it.

    The kernel watches the *thread* that calls this, so call it from the main thread only.
    `environment` None hands ours on; `standard_input` must fit into a pipe (64 KiB).
    """
    process = subprocess.Popen(
        list(arguments),
        cwd=directory,
        stdin=subprocess.PIPE if standard_input else subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=None if environment is None else dict(environment),
        start_new_session=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        preexec_fn=_before_exec(at_our_death, os.getpid()),  # noqa: PLW1509  prctl and sigmask only, both async-safe
    )
    if process.stdin:
        process.stdin.write(standard_input)
        process.stdin.close()
    return process


def _before_exec(at_our_death: signal.Signals, parent: int) -> Callable[[], None]:
    def prepare() -> None:
        if _prctl is not None:
            _prctl(_PR_SET_PDEATHSIG, int(at_our_death), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)  # we died before the line above took effect
        signal.pthread_sigmask(signal.SIG_SETMASK, [])

    return prepare


def stop(process: subprocess.Popen[bytes], how: signal.Signals, seconds: float) -> bool:
    """Ask the process to end, and kill it after `seconds`. True if it ended by itself."""
    if process.poll() is not None:
        return True
    process.send_signal(how)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


def end_stranger(pid: int, signals: Sequence[signal.Signals], seconds_each: float) -> bool:
    """End a process that is not our child, with each signal in turn. True once it is gone."""
    ticks = start_ticks(pid)
    for number in signals:
        if ticks is None or start_ticks(pid) != ticks:
            return True
        os.kill(pid, number)
        deadline = time.monotonic() + seconds_each
        while start_ticks(pid) == ticks and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    return start_ticks(pid) != ticks
