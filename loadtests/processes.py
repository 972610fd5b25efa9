"""Processes that a measurement starts: pinned to a core, logged to a file, ended by their own id and nothing else."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parent.parent


class ProcessFailedError(RuntimeError):
    """A process ended early, or did not listen in time; the message ends with the tail of its log."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_ports(count: int) -> list[int]:
    """Different ports of 127.0.0.1, each free a moment ago."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def pinned(argv: Sequence[str], core: int | None) -> list[str]:
    """`argv` kept on one core, where this system has `taskset`; `core` None leaves it to the scheduler."""
    taskset = shutil.which("taskset")
    return [*argv] if core is None or taskset is None else [taskset, "-c", str(core), *argv]


class Process:
    """One child process in a session of its own, so that its workers can be ended with it."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        log: Path,
        *,
        core: int | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.argv = pinned(argv, core)
        self.log = log
        self.env = {**os.environ, **(env or {})}
        self.cwd = cwd
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id; only while it runs."""
        if self._child is None:
            raise ProcessFailedError(f"{self.name} was not started")
        return self._child.pid

    def start(self, port: int | None = None, seconds: float = 20.0) -> Self:
        """Start, and wait until `port` of 127.0.0.1 takes connections. Raises ProcessFailedError, also for a taken port."""
        if port is not None and listens(port):
            raise ProcessFailedError(f"{self.name}: something else listens on port {port}")
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.env,
                cwd=self.cwd,
                start_new_session=True,
            )
        if port is not None:
            self._wait_for(port, time.monotonic() + seconds)
        return self

    def stop(self, seconds: float = 15.0) -> None:
        """SIGTERM, then SIGKILL after `seconds`; returns when it and its session are gone."""
        child, self._child = self._child, None
        if child is None:
            return
        if child.poll() is None:
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    def tail(self, characters: int = 2000) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""

    def _wait_for(self, port: int, deadline: float) -> None:
        while not listens(port):
            child = self._child
            if child is None or child.poll() is not None or time.monotonic() > deadline:
                self.stop(1)
                raise ProcessFailedError(f"{self.name} does not listen on port {port}; its log ends:\n{self.tail()}")
            time.sleep(0.05)

    def __enter__(self) -> Self:
        return self if self._child else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def listens(port: int) -> bool:
    """Whether 127.0.0.1 takes a connection on `port` now."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def worker_pids(supervisor: int) -> list[int]:
    """Children of a gateway's first process that serve requests; itself if it has none."""
    return children(supervisor, "gateway.server.worker") or [supervisor]


def ingester_pids(supervisor: int) -> list[int]:
    """Children of a gateway's first process that store its journals; none where the workers do that themselves."""
    return children(supervisor, "ingester")


def children(pid: int, words: str = "") -> list[int]:
    """Living children of a process whose command line contains `words`; one may end between two looks."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [int(child) for child in listed if words in command_line(int(child))]


def parent(pid: int) -> int:
    """Who started a process. Raises OSError when it is gone."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def family(pid: int) -> list[int]:
    """A process and all that it has started and that has not left it."""
    return [pid, *(member for child in children(pid) for member in family(child))]


def move(pid: int, core: int) -> None:
    """Keep a process with all its threads on one core from now on; nothing happens when it is gone."""
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})


def command_line(pid: int) -> str:
    """Its arguments, separated by spaces; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def resident_bytes(pid: int) -> int:
    """Resident memory of a process, shared pages included. Raises OSError when it is gone."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def anonymous_bytes(pid: int) -> int:
    """Resident memory that is no file's: heap and stacks, without mapped journals. Raises OSError when it is gone."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("RssAnon:")]
    return int(line.split()[1]) * 1024


def processor_seconds(pids: Iterable[int]) -> float:
    """Time on a processor that living processes have used since they began, user and system."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
