"""The workers of one port: started on one shared socket, replaced when they die, rolled on SIGHUP, stopped in order.
Beside them the node's ingester, which ends last, because it stores what the workers leave, and where traces are on the tracer.

The listening socket is bound here and inherited, so what queues on it survives any worker. Workers end with this
process: they hold the reading end of a pipe whose writing end only we have.
"""

import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from domain.settings import Settings, load_settings
from domain.state_folder import why_unusable
from gateway.server.child import Child, spawn
from gateway.server.companion import STOP_SECONDS, Companion
from gateway.server.worker import APPLICATION

QUICK_DEATH_SECONDS = 10.0
FIRST_DELAY_SECONDS = 0.25
MAX_DELAY_SECONDS = 8.0
MAX_FAILED_STARTS = 5
STOP_GRACE_SECONDS = 1.0
log = logging.getLogger("gateway.supervisor")


def run(settings: Settings, application: str = APPLICATION) -> int:
    """Serve until SIGTERM or SIGINT. Exit status 0; 1 when the port is taken, nothing can be kept, or workers don't start."""
    if why := why_unusable(settings.gateway.state_folder):
        log.error("cannot keep journals: %s; GATEWAY_STATE_DIR must name a folder that can be written to", why)
        return 1
    try:
        listener = _listen(settings)
    except OSError as error:
        address = f"{settings.gateway.host}:{settings.gateway.port}"
        log.error("cannot listen on %s: %s", address, error.strerror or error)  # noqa: TRY400  no trace for an operator
        return 1
    with listener, _woken_by_signals() as wake:
        log.info("listening on http://%s:%d with %d workers", *listener.getsockname()[:2], settings.gateway.workers)
        return Supervisor(settings, listener, wake, application).serve()


class Supervisor:
    """Workers by their number. Retired ones drain beside their successors."""

    def __init__(self, settings: Settings, listener: socket.socket, wake: socket.socket, application: str) -> None:
        self._settings, self._listener, self._application = settings.gateway, listener, application
        self._wake = wake
        self._life_reading, self._life_writing = os.pipe()
        self._ingester = Companion("ingester", self._life_reading, last_word="--drain")
        self._tracer = Companion("tracer", self._life_reading) if settings.traces.url else None
        self._selector = selectors.DefaultSelector()
        self._selector.register(wake, selectors.EVENT_READ)
        self._workers: dict[int, Child] = {}
        self._successors: dict[int, Child] = {}
        self._retired: list[Child] = []
        self._to_roll: list[int] = []
        self._due: dict[int, float] = {}
        self._failed_starts = 0
        self._stopping = False

    def serve(self) -> int:
        """Run until stopped or until starting is hopeless; the exit status."""
        for index in range(self._settings.workers):
            self._workers[index] = self._start(index)
        self._watch_companions()
        status = 0
        while not self._stopping:
            self._wait(self._patience())
            self._bury()
            self._watch_companions()
            if self._failed_starts >= MAX_FAILED_STARTS:
                log.critical("workers died %d times before they were ready; giving up", self._failed_starts)
                status = 1
                break
            self._start_due()
            self._roll()
        self._stop()
        return status

    # -- events

    def _wait(self, seconds: float | None) -> None:
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._wake:
                self._take_signals()
            else:
                self._hear(key.data)

    def _take_signals(self) -> None:
        for number in self._wake.recv(64):
            if number in {signal.SIGTERM, signal.SIGINT}:
                self._stopping = True
            elif number == signal.SIGHUP:
                log.info("rolling %d workers", self._settings.workers)
                # A second reload while one runs starts over behind it: every worker is then younger than the signal.
                self._to_roll = list(range(self._settings.workers))
                self._ingester.replace()
                self._replace_tracer()

    def _hear(self, child: Child) -> None:
        """A child's ready pipe spoke or closed."""
        self._selector.unregister(child.ready_fd)
        if not child.hear():
            return
        log.info("worker %d (pid %d) is ready", child.index, child.pid)
        self._failed_starts = 0
        predecessor = self._workers.get(child.index)
        if self._successors.get(child.index) is child:
            del self._successors[child.index]
            self._workers[child.index] = child
            self._due.pop(child.index, None)
            if predecessor is not None:
                predecessor.signal(signal.SIGUSR1)
                self._retired.append(predecessor)

    def _bury(self) -> None:
        """Notice the dead. A serving worker is started again, after a pause if it keeps dying."""
        self._retired = [child for child in self._retired if child.alive()]
        for group in (self._workers, self._successors):
            for index, child in list(group.items()):
                if child.alive():
                    continue
                del group[index]
                self._mourn(child, serving=group is self._workers)

    def _mourn(self, child: Child, *, serving: bool) -> None:
        if child.ready_fd >= 0:
            self._selector.unregister(child.ready_fd)
        child.close()
        log.error("worker %d (pid %d) ended with status %s", child.index, child.pid, child.status)
        quick = not child.ready or time.monotonic() - child.started < QUICK_DEATH_SECONDS
        if not child.ready:
            self._failed_starts += 1
        if serving:
            delay = FIRST_DELAY_SECONDS * 2**self._failed_starts if not child.ready else 0.0
            self._due[child.index] = time.monotonic() + min(MAX_DELAY_SECONDS, delay if quick else 0.0)
        else:
            log.error("the reload stops: the old workers go on serving")
            self._to_roll.clear()

    def _start_due(self) -> None:
        for index, due in list(self._due.items()):
            if due <= time.monotonic():
                del self._due[index]
                self._workers[index] = self._start(index)

    def _roll(self) -> None:
        """Start the next successor when the one before it is ready."""
        if self._to_roll and not self._successors:
            index = self._to_roll.pop(0)
            self._successors[index] = self._start(index)

    def _patience(self) -> float | None:
        if self._to_roll and not self._successors:
            return 0.0
        waits = [max(0.0, due - time.monotonic()) for due in self._due.values()]
        waits += [wait for companion in self._companions() if (wait := companion.patience()) is not None]
        return min(waits, default=None)

    # -- processes

    def _companions(self) -> list[Companion]:
        return [self._ingester] if self._tracer is None else [self._ingester, self._tracer]

    def _watch_companions(self) -> None:
        for companion in self._companions():
            companion.watch()

    def _replace_tracer(self) -> None:
        """Traces may have been turned on or off since: workers that start now go by the settings of now."""
        try:
            traced = bool(load_settings().traces.url)
        except ValueError:
            return
        if not traced and self._tracer is not None:
            self._tracer.stop()
            self._tracer = None
        elif traced and self._tracer is None:
            self._tracer = Companion("tracer", self._life_reading)
        elif self._tracer is not None:
            self._tracer.hand_over()

    def _start(self, index: int) -> Child:
        child = spawn(index, self._settings.workers, self._listener, self._life_reading, self._application)
        self._selector.register(child.ready_fd, selectors.EVENT_READ, child)
        return child

    def _stop(self) -> None:
        """SIGTERM to all, SIGKILL to those that outlast `shutdown_seconds` and a second; a further signal hurries."""
        self._listener.close()
        children = [*self._workers.values(), *self._successors.values(), *self._retired]
        log.info("stopping %d workers", len(children))
        for child in children:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + self._settings.shutdown_seconds + STOP_GRACE_SECONDS
        self._wake.settimeout(None)
        while any(child.alive() for child in children) and (left := deadline - time.monotonic()) > 0:
            self._wake.settimeout(left)
            try:
                hurried = {signal.SIGTERM, signal.SIGINT} & set(self._wake.recv(64))
            except TimeoutError:
                break
            for child in children if hurried else ():
                child.signal(signal.SIGTERM)
        for child in children:
            if child.alive():
                log.warning("worker %d (pid %d) did not stop in time; killed", child.index, child.pid)
                child.signal(signal.SIGKILL)
            child.reap()
        for companion in self._companions():
            # Beside each other, within one time: neither waits for the other's work.
            companion.tell_end()
        deadline = time.monotonic() + STOP_SECONDS
        for companion in self._companions():
            companion.stop(max(0.0, deadline - time.monotonic()))
        os.close(self._life_writing)
        os.close(self._life_reading)
        self._selector.close()


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.gateway.host, settings.gateway.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        # Lets a restart bind beside connections of the last run that the kernel still remembers.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(settings.gateway.backlog)
        listener.settimeout(0)
    except OSError:
        listener.close()
        raise
    return listener


@contextmanager
def _woken_by_signals() -> Iterator[socket.socket]:
    """A socket that receives the number of each signal, so that one wait covers signals and pipes."""
    reading, writing = socket.socketpair()
    reading.settimeout(0)
    writing.settimeout(0)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    old_wake = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(old_wake)
        for number, handler in before.items():
            signal.signal(number, handler)
        reading.close()
        writing.close()
