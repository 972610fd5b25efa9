"""One worker process as its supervisor sees it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

from gateway.server.worker import READY


class Child:
    """A running or dead worker. `ready` once it said so on its pipe."""

    def __init__(self, index: int, process: subprocess.Popen[bytes], ready_fd: int) -> None:
        self.index, self.ready_fd = index, ready_fd
        self._process = process
        self.started = time.monotonic()
        self.ready = False

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status, negative for a signal, None while it runs."""
        return self._process.returncode

    def alive(self) -> bool:
        """Whether it runs; reaps it if not."""
        return self._process.poll() is None

    def hear(self) -> bool:
        """Read the ready pipe; whether the worker is ready. The pipe has no further use."""
        self.ready = os.read(self.ready_fd, len(READY)) == READY
        self.close()
        return self.ready

    def close(self) -> None:
        """Close the ready pipe."""
        if self.ready_fd >= 0:
            os.close(self.ready_fd)
            self.ready_fd = -1

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def reap(self) -> None:
        """Wait for its end and close what is left of it."""
        self._process.wait()
        self.close()


def spawn(index: int, count: int, listener: socket.socket, life_fd: int, application: str) -> Child:
    """Start worker `index` of `count` on the inherited `listener`."""
    ready_reading, ready_writing = os.pipe()
    inherited = (listener.fileno(), life_fd, ready_writing)
    arguments = [
        *(sys.executable, "-m", "gateway.server.worker", "--index", str(index), "--count", str(count)),
        *("--listen-fd", str(listener.fileno()), "--ready-fd", str(ready_writing), "--life-fd", str(life_fd)),
        *("--supervisor", str(os.getpid()), "--application", application),
    ]
    try:
        # The arguments are our own; stdin is closed so that a worker never takes a terminal's input.
        process = subprocess.Popen(arguments, pass_fds=inherited, stdin=subprocess.DEVNULL)  # noqa: S603
    finally:
        os.close(ready_writing)
    return Child(index, process, ready_reading)
