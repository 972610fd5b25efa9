"""One supervisor for one data directory, by a lock that the kernel drops when its holder dies."""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Self

from cli.supervisor.failures import SupervisorError
from cli.supervisor.processes import command_line


class InstanceLock:
    """Held from `__enter__` to `__exit__`; the file is removed with it, and a left-over file hinders nobody."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Raise SupervisorError, naming the holder, if another supervisor has it."""
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SupervisorError(self._held_by(descriptor), self._advice) from None
            if self._is_current(descriptor):
                break
            os.close(descriptor)  # its former holder removed the file between our open and our lock
        with contextlib.suppress(OSError):  # on a full disk the lock holds all the same; only its holder has no name
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)

    _advice = "Stop it with Ctrl-C, or run this one beside it with PE_DATA_DIR=.data-2 PORT_OFFSET=100."

    def _held_by(self, descriptor: int) -> str:
        text = os.pread(descriptor, 32, 0).decode(errors="replace")
        os.close(descriptor)
        who = f"process {text} ({command_line(int(text))[:80]})" if text.isdigit() else "another process"
        return f"{self._path.parent} is in use: {who} runs it already."

    def _is_current(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except FileNotFoundError:
            return False
