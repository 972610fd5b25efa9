"""The ingester's process: one per node, beside the workers; the supervisor starts it again whenever it ends.

Signals: SIGTERM stores what is there and ends (the workers are gone by then); SIGUSR1 ends after the present transaction,
for a successor; SIGINT is the supervisor's. When the supervisor is gone, the workers end too: then it goes on until every
journal is closed, but not for ever; so does one that was only starting. A lock beside the journals keeps the ingesters of
two supervisors apart: the second stands by.
"""

import asyncio
import contextlib
import logging
import os
import sys
from pathlib import Path

import uvloop

from domain.ingesting.ingester import Ingester
from domain.log_store.shipping import Shipper
from domain.settings import Settings, load_settings
from gateway.ingester.status import publish_often
from gateway.server.node_process import DRAIN_SECONDS, begin_end, end_of, locked, parser
from gateway.server.worker import die_with

LOCK_FILE = "ingester.held"
log = logging.getLogger("gateway.ingester")


def main(arguments: list[str] | None = None) -> int:
    """Run until told to end. Exit status 0, or 1 where the folder can't be used."""
    known = parser("gateway.ingester.process")
    known.add_argument("--drain", action="store_true", help="store what is there, then end")
    options = known.parse_args(arguments)
    if options.life_fd < 0:
        # Where there is the pipe, it alone tells that the supervisor is gone, also one that died before this was up: a signal
        # would end what can't hear it yet, and what is in the journals would wait for the gateway's next start.
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
    end = end_of(life_fd)
    async with locked(folder / LOCK_FILE, end, "ingester", stand_by=not drain) as ours:
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
            begin_end(ingester, end.result(), supervisor, settings.gateway.shutdown_seconds)
        try:
            await running
        finally:
            for task in filter(None, (shipping, publishing)):
                # What is being sent is sent again by whoever is next, and counts once.
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


if __name__ == "__main__":
    sys.exit(main())
