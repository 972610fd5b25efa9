"""A process beside the workers as the supervisor sees it: always one, started again when it ends, stopped after them.

The ingester is one, and where traces are on the tracer.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time

log = logging.getLogger("gateway.supervisor")

STOP_SECONDS = 5.0
"""How long it may take to store what the workers left."""

_QUICK_DEATH_SECONDS = 10.0
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 8.0


class Companion:
    """One process and its restarts. Never a reason to stop serving: the journals keep what the ingester does not store.

    `last_word`: what an own successor is started with at the end, where this one cannot do what is left.
    """

    def __init__(self, name: str, life_fd: int, *, last_word: str = "") -> None:
        """`name` is that of its package below `gateway`."""
        self._name, self._life_fd, self._last_word = name, life_fd, last_word
        self._process: subprocess.Popen[bytes] | None = None
        self._former: list[subprocess.Popen[bytes]] = []
        self._started = self._due = 0.0
        self._delay = _FIRST_DELAY
        self._expected = False

    def watch(self) -> None:
        """Start it if it does not run and its time has come; notice its end."""
        process = self._process
        if process is not None and process.poll() is not None:
            self._bury(process)
        self._former = [former for former in self._former if former.poll() is None]
        if self._process is None and time.monotonic() >= self._due:
            self._start(*self._taking_over())

    def patience(self) -> float | None:
        """Seconds until `watch` has something to do; None while it runs."""
        return None if self._process is not None else max(0.0, self._due - time.monotonic())

    def replace(self) -> None:
        """Have a successor with the code and settings of now: this one ends after its transaction."""
        self._expected = True
        self._signal(signal.SIGUSR1)

    def hand_over(self) -> None:
        """The same without a moment between them: the successor ends this one, when it is ready to go on."""
        if self._process is not None and self._process.poll() is None:
            self._former.append(self._process)
            self._start(*self._taking_over())

    def tell_end(self) -> None:
        """Let it begin to end in order."""
        self._signal(signal.SIGTERM)
        for former in self._former:
            if former.poll() is None:
                former.send_signal(signal.SIGTERM)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """End it in order; SIGKILL after so long. What is not stored then waits in the journals."""
        deadline = time.monotonic() + seconds
        self.tell_end()
        if self._status_until(deadline) != 0 and time.monotonic() < deadline and self._last_word:
            # It was dead, or too young to hear a signal: another one stores what the workers left.
            self._start(self._last_word)
            self._status_until(deadline)
        for process in (self._process, *self._former):
            if process is None:
                continue
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            if process.poll() is None:
                log.warning("the %s (pid %d) did not stop in time; killed", self._name, process.pid)
                process.kill()
                process.wait()
        self._process = None

    def _status_until(self, deadline: float) -> int | None:
        """Its exit status, None if it does not run or still runs at the deadline."""
        if self._process is None:
            return None
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(max(0.0, deadline - time.monotonic()))
        return None

    def _taking_over(self) -> tuple[str, ...]:
        return ("--takes-over", str(self._former[-1].pid)) if self._former else ()

    def _start(self, *more: str) -> None:
        arguments = [sys.executable, "-m", f"gateway.{self._name}.process", *more]
        arguments += ["--life-fd", str(self._life_fd), "--supervisor", str(os.getpid())]
        # The arguments are our own; stdin is closed so that it never takes a terminal's input.
        self._process = subprocess.Popen(arguments, pass_fds=(self._life_fd,), stdin=subprocess.DEVNULL)  # noqa: S603
        self._started = time.monotonic()

    def _bury(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = None
        quick = time.monotonic() - self._started < _QUICK_DEATH_SECONDS
        self._delay = min(_LONGEST_DELAY, self._delay * 2) if quick and not self._expected else _FIRST_DELAY
        self._due = time.monotonic() + (0.0 if self._expected else self._delay)
        if not self._expected:
            log.error("the %s (pid %d) ended with status %s", self._name, process.pid, process.returncode)
        self._expected = False

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
