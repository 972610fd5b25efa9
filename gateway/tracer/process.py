"""The tracer's process: one per node, beside the workers, where traces are on; the supervisor starts it again.

Signals as the ingester's (`gateway.ingester.process`): SIGTERM sends what is there and ends, SIGUSR1 ends for a successor.
What is left after DRAIN_SECONDS is lost where the journals are stored meanwhile. When the supervisor is gone it goes on until
every journal is closed, but not for ever. A successor holds the files that it will read before it has the one before it end,
because the ingester deletes what is stored.
"""

import asyncio
import contextlib
import functools
import logging
import os
import signal
import sys
from pathlib import Path

import uvloop

from domain.settings import Settings, load_settings
from domain.traces.tracer import Tracer
from gateway.server.node_process import begin_end, end_of, locked, parser
from gateway.server.worker import die_with
from gateway.tracer.status import publish_often

LOCK_FILE = "tracer.held"
NICENESS = 5
log = logging.getLogger("gateway.tracer")


def main(arguments: list[str] | None = None) -> int:
    """Run until told to end. Exit status 0, or 1 where the folder can't be used."""
    known = parser("gateway.tracer.process")
    known.add_argument("--takes-over", type=int, default=0, help="process id of the one before it; 0: none")
    options = known.parse_args(arguments)
    die_with(options.supervisor)
    settings = load_settings()
    logging.basicConfig(level=settings.logs.level, format="%(asctime)s %(levelname)s tracer %(name)s: %(message)s")
    # Where a processor is short, workers and ingester come first: spans may be late, or dropped and counted.
    os.nice(NICENESS)
    # It says each request of its own at INFO.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    folder = settings.gateway.state_folder / "journal"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as fault:
        log.error("cannot use %s: %s", folder, fault.strerror)  # noqa: TRY400  no trace for an operator
        return 1
    uvloop.run(_run(settings, folder, options.life_fd, options.supervisor or os.getppid(), options.takes_over))
    return 0


async def _run(settings: Settings, folder: Path, life_fd: int, supervisor: int, former: int) -> None:
    end = end_of(life_fd)
    tracer = Tracer(folder, settings)
    meanwhile = functools.partial(_take_over, tracer, [former]) if former else None
    async with locked(folder / LOCK_FILE, end, "tracer", meanwhile=meanwhile) as ours:
        if not ours:
            return
        publishing = asyncio.create_task(publish_often(tracer))
        running = asyncio.create_task(tracer.run())
        await asyncio.wait((running, end), return_when=asyncio.FIRST_COMPLETED)
        if end.done():
            begin_end(tracer, end.result(), supervisor, settings.gateway.shutdown_seconds)
        try:
            await running
        finally:
            publishing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await publishing


def _take_over(tracer: Tracer, former: list[int]) -> None:
    tracer.stand_by()
    while former:
        with contextlib.suppress(ProcessLookupError):
            os.kill(former.pop(), signal.SIGUSR1)


if __name__ == "__main__":
    sys.exit(main())
