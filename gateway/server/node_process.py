"""What the processes beside the workers have in common: how they are told to end, and that a node has only one of each."""

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

DRAIN_SECONDS = 3.0
"""How long an orderly stop may go on with what is there."""

PIPE_CLOSED = 0
"""In the place of a signal's number: the supervisor is gone."""

_ORPHAN_GRACE_SECONDS = 10.0
_STANDBY_SECONDS = 0.25
log = logging.getLogger("gateway.node_process")


def parser(program: str) -> argparse.ArgumentParser:
    """For what the supervisor says on the command line."""
    made = argparse.ArgumentParser(prog=program, description="The supervisor starts it.")
    made.add_argument("--life-fd", type=int, default=-1)
    made.add_argument("--supervisor", type=int, default=0, help="process id; 0: none")
    return made


def end_of(life_fd: int) -> "asyncio.Future[int]":
    """Done with SIGTERM or SIGUSR1 once that came, or with PIPE_CLOSED. SIGINT is left to the supervisor."""
    loop = asyncio.get_running_loop()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGUSR1):
        loop.add_signal_handler(number, _told, end, number)
    if life_fd >= 0:
        loop.add_reader(life_fd, _orphaned, loop, life_fd, end)
    return end


def _told(end: "asyncio.Future[int]", number: int) -> None:
    if not end.done():
        end.set_result(number)


def _orphaned(loop: asyncio.AbstractEventLoop, life_fd: int, end: "asyncio.Future[int]") -> None:
    loop.remove_reader(life_fd)
    _told(end, PIPE_CLOSED)


class Follower(Protocol):
    """What reads the node's journals until it is told to end."""

    def stop(self) -> None:
        """End after what is under way."""

    def drain(self, seconds: float, *, wait_for_writers: bool = False) -> None:
        """End when all that is there is done, or after so long."""


def begin_end(follower: Follower, reason: int, supervisor: int, shutdown_seconds: float) -> None:
    """End it as `reason` (`end_of`) says. Without its supervisor, orphaned workers may still write for `shutdown_seconds`."""
    # A process's pipes close before its children get another parent, so the pipe's word counts by itself.
    if reason == PIPE_CLOSED or os.getppid() != supervisor:
        log.warning("the supervisor is gone; going on with what the workers leave")
        follower.drain(shutdown_seconds + _ORPHAN_GRACE_SECONDS, wait_for_writers=True)
    elif reason == signal.SIGUSR1:
        follower.stop()
    else:
        follower.drain(DRAIN_SECONDS)


@contextlib.asynccontextmanager
async def locked(
    lock: Path,
    end: "asyncio.Future[int]",
    what: str,
    *,
    stand_by: bool = True,
    meanwhile: Callable[[], None] | None = None,
) -> AsyncIterator[bool]:
    """Whether this is the node's one: waits until it is, or until told to end. Without `stand_by` it does not wait.

    `meanwhile` is called again and again while it waits for one that hands over to it; who waits for a stranger says so.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        said = meanwhile is not None
        while not end.done():
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not stand_by:
                    log.info("another %s works on %s and does what is left", what, lock.parent)
                    break
                if not said:
                    log.warning(
                        "another %s works on %s; standing by. If it is not of a gateway that just stops, two"
                        " gateways share a GATEWAY_STATE_DIR: give each its own",
                        what,
                        lock.parent,
                    )
                    said = True
                if meanwhile is not None:
                    meanwhile()
                await asyncio.wait((end,), timeout=_STANDBY_SECONDS)
            else:
                yield True
                return
        yield False
    finally:
        os.close(descriptor)
