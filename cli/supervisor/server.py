"""What the two embedded servers have in common: a directory, a log, a child, and what its last words mean."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from cli.supervisor.failures import SupervisorError
from cli.supervisor.processes import POLL_SECONDS, stop

Profile = Literal["dev", "test"]
LAST_LINES = 12


class Server:
    """A database server as our child. `process` is None while it does not run."""

    title = ""
    stop_signal = signal.SIGTERM

    def __init__(self, log_path: Path, on_poll: Callable[[], None] = lambda: None) -> None:
        self.log_path = log_path
        self.process: subprocess.Popen[bytes] | None = None
        self._on_poll = on_poll
        self._log_start = 0

    @contextmanager
    def log_for_child(self) -> Iterator[int]:
        """The log, opened for appending, as a descriptor; what was in it before is no longer quoted in errors."""
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            yield log.fileno()

    def last_words(self) -> str:
        """The last lines that the child, or what prepared its data, has written since it was started."""
        return last_lines(self.log_path, self._log_start)

    @property
    def running(self) -> bool:
        """Whether the child lives."""
        return self.process is not None and self.process.poll() is None

    def stop(self, seconds: float = 8.0) -> None:
        """End the child in its own clean way; kill it after `seconds`."""
        if self.process is not None:
            stop(self.process, self.stop_signal, seconds)
            self.process = None

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def await_ready(self, ready: Callable[[], bool], seconds: float = 60.0) -> None:
        """Poll until `ready`. Raise SupervisorError with the log's last lines if the child ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not ready():
            self._on_poll()
            if not self.running:
                self.process = None
                raise self.explain("ended while it started")
            if time.monotonic() > deadline:
                self.stop()
                raise self.explain(f"was not ready after {seconds:.0f} s")
            time.sleep(POLL_SECONDS)

    def explain(self, what: str) -> SupervisorError:
        """The error for a failed start, from what the server wrote last."""
        words = self.last_words()
        if "No space left on device" in words:
            return disk_full(self.title, self.log_path.parent)
        return SupervisorError(f"{self.title} {what}. Its last words:\n{words}\n", f"The whole log is {self.log_path}.")


def disk_full(title: str, directory: Path) -> SupervisorError:
    """The error for a full disk."""
    return SupervisorError(
        f"{title} cannot start: the disk that holds {directory.resolve()} is full.",
        "Make room there (nothing was lost: start again afterwards), or choose another place with PE_DATA_DIR.",
    )


def last_lines(log_path: Path, start: int = 0) -> str:
    """The end of a log from byte `start` on, at most 16 KiB of it; empty if there is none."""
    try:
        with log_path.open("rb") as log:
            log.seek(max(start, log_path.stat().st_size - 16_384))
            text = log.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-LAST_LINES:])
