"""The ingester's process: one per node, beside the workers; the supervisor starts it again whenever it ends.

Signals: SIGTERM stores what is there and ends (the workers are gone by then); SIGUSR1 ends after the present transaction,
for a successor; SIGINT is the supervisor's. When the supervisor is gone, the workers end too: then it goes on until every
journal is closed, but not for ever. A lock beside the journals keeps the ingesters of two supervisors apart: the second
stands by.
"""

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import uvloop

from domain.ingesting.ingester import Ingester
from domain.log_store.shipping import Shipper
from domain.settings import Settings, load_settings
from gateway.ingester.status import publish_often
from gateway.server.worker import die_with

LOCK_FILE = "ingester.held"
DRAIN_SECONDS = 3.0
"""How long an orderly stop may store what is there; more stays in the journals for the next start."""

_STANDBY_SECONDS = 0.25
_PIPE_CLOSED = 0
_ORPHAN_GRACE_SECONDS = 10.0
log = logging.getLogger("gateway.ingester")


def main(arguments: list[str] | None = None) -> int:
    """Run until told to end. Exit status 0, or 1 where the folder can't be used."""
    options = _parser().parse_args(arguments)
    die_with(options.supervisor)
    settings = load_settings()
    logging.basicConfig(level=settings.logs.level, format="%(asctime)s %(levelname)s ingester %(name)s: %(message)s")
    folder = settings.gateway.state_folder / "journal"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as fault:
        log.error("cannot use %s: %s", folder, fault.strerror)  # noqa: TRY400  no trace for an operator
        return 1
    run = _run(settings, folder, options.life_fd, options.supervisor or os.getppid(), drain=options.drain)
    uvloop.run(run)
    return 0


async def _run(settings: Settings, folder: Path, life_fd: int, supervisor: int, *, drain: bool) -> None:
    loop = asyncio.get_running_loop()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGUSR1):
        loop.add_signal_handler(number, _told, end, number)
    if life_fd >= 0:
        loop.add_reader(life_fd, _orphaned, loop, life_fd, end)
    async with _locked(folder / LOCK_FILE, end, stand_by=not drain) as ours:
        if not ours:
            return
        ingester = Ingester(folder, settings.database)
        if drain:
            ingester.drain(DRAIN_SECONDS)
        shipper = Shipper(settings) if settings.logs.store_url.get_secret_value() and not drain else None
        shipping = asyncio.create_task(shipper.run()) if shipper else None
        publishing = asyncio.create_task(publish_often(ingester, folder, shipper))
        running = asyncio.create_task(ingester.run())
        await asyncio.wait((running, end), return_when=asyncio.FIRST_COMPLETED)
        if end.done():
            # A process's pipes close before its children get another parent, so the pipe's word counts by itself.
            orphaned = end.result() == _PIPE_CLOSED or os.getppid() != supervisor
            _begin_end(ingester, end.result(), settings.gateway.shutdown_seconds if orphaned else None)
        try:
            await running
        finally:
            for task in filter(None, (shipping, publishing)):
                # What is being sent is sent again by whoever is next, and counts once.
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


def _told(end: "asyncio.Future[int]", number: int) -> None:
    if not end.done():
        end.set_result(number)


def _orphaned(loop: asyncio.AbstractEventLoop, life_fd: int, end: "asyncio.Future[int]") -> None:
    loop.remove_reader(life_fd)
    _told(end, _PIPE_CLOSED)


def _begin_end(ingester: Ingester, reason: int, shutdown_seconds: float | None) -> None:
    """`shutdown_seconds`: how long orphaned workers may still write; None while there is a supervisor."""
    if shutdown_seconds is not None:
        log.warning("the supervisor is gone; storing what the workers leave")
        ingester.drain(shutdown_seconds + _ORPHAN_GRACE_SECONDS, wait_for_writers=True)
    elif reason == signal.SIGUSR1:
        ingester.stop()
    else:
        ingester.drain(DRAIN_SECONDS)


@contextlib.asynccontextmanager
async def _locked(lock: Path, end: "asyncio.Future[int]", *, stand_by: bool) -> AsyncIterator[bool]:
    """Whether this is the node's ingester: waits until it is, or until told to end. Without `stand_by` it does not wait."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        said = False
        while not end.done():
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not stand_by:
                    log.info("another ingester works on %s and stores what is there", lock.parent)
                    break
                if not said:
                    log.warning(
                        "another ingester works on %s; standing by. If it is not of a gateway that just stops, two"
                        " gateways share a GATEWAY_STATE_DIR: give each its own",
                        lock.parent,
                    )
                    said = True
                await asyncio.wait((end,), timeout=_STANDBY_SECONDS)
            else:
                yield True
                return
        yield False
    finally:
        os.close(descriptor)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gateway.ingester.process", description="The supervisor starts it.")
    parser.add_argument("--life-fd", type=int, default=-1)
    parser.add_argument("--supervisor", type=int, default=0, help="process id; 0: none")
    parser.add_argument("--drain", action="store_true", help="store what is there, then end")
    return parser


if __name__ == "__main__":
    sys.exit(main())
