"""One worker process: an event loop, our protocol on the inherited socket, the application, and an orderly end.

Signals: SIGTERM stops within `shutdown_seconds`, a second one at once; SIGUSR1 drains for a successor within
`drain_seconds`. SIGINT is left to the supervisor, because a terminal sends it to all of us. When the supervisor is
gone, by its pipe's end or by the kernel's word, the worker stops as on SIGTERM, and an alarm ends it if it can't.
"""

import argparse
import asyncio
import contextlib
import ctypes
import gc
import importlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, cast

import uvicorn

from domain.settings import load_settings
from gateway.server.drain import Drain
from gateway.server.express_protocol import ExpressProtocol
from gateway.server.protocol import GatewayProtocol
from gateway.server.state import WorkerIdentity, WorkerState

APPLICATION = "gateway.app:create_app"
READY = b"ready\n"
_PR_SET_PDEATHSIG = 1
_ALARM_GRACE = 3
log = logging.getLogger("gateway.worker")


def main(arguments: list[str] | None = None) -> int:
    """Run until told to stop. Exit status 0, or 3 when the application did not start."""
    options = _parser().parse_args(arguments)
    die_with(options.supervisor)
    settings = load_settings()
    logging.basicConfig(
        level=settings.logs.level, format=f"%(asctime)s %(levelname)s worker {options.index} %(name)s: %(message)s"
    )
    # What uvicorn says of each start and stop in three lines, the supervisor says in one.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    identity = WorkerIdentity(options.index, options.count)
    application = _load(options.application)(settings, worker=identity)
    # An application that brings no express door is served whole by ASGI.
    express = getattr(application, "express", None)
    config = uvicorn.Config(
        application,
        loop="uvloop",
        # A BufferedProtocol, which event loops take as well as the Protocol that uvicorn's types ask for.
        http=cast("type[asyncio.Protocol]", GatewayProtocol if express is None else ExpressProtocol),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=settings.gateway.backlog,
    )
    listener = socket.socket(fileno=options.listen_fd)
    state = WorkerState(settings.gateway, identity, express)
    server = GatewayServer(config, state, ready_fd=options.ready_fd, life_fd=options.life_fd)
    server.run([listener])
    return 0


class GatewayServer(uvicorn.Server):
    """uvicorn's start and lifespan with our state, signals and drain."""

    def __init__(self, config: uvicorn.Config, state: WorkerState, *, ready_fd: int = -1, life_fd: int = -1) -> None:
        super().__init__(config)
        self.server_state = self.state = state
        self._ready_fd, self._life_fd = ready_fd, life_fd
        self._drain = Drain(self.state)
        self._death_told = False

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve on `sockets` until a signal or the supervisor's end."""
        loop = asyncio.get_running_loop()
        self.state.now = loop.time()
        for number, act in ((signal.SIGTERM, self.stop), (signal.SIGUSR1, self.retire)):
            loop.add_signal_handler(number, act)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if self._life_fd >= 0:
            loop.add_reader(self._life_fd, self._orphaned)
        await self._serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, listen, tell the supervisor."""
        await super().startup(sockets)
        # What exists now lives as long as the process; the collector need not look at it again.
        gc.collect()
        gc.freeze()
        # A request leaves a few cycles of objects. Looking for them at the default pace costs 6 % of the processor,
        # looking rarely makes long pauses.
        gc.set_threshold(5_000, 50, 100)
        if self._ready_fd >= 0:
            # A supervisor that died meanwhile is found out by its life pipe, and then this worker stops in order.
            with contextlib.suppress(BrokenPipeError):
                os.write(self._ready_fd, READY)

    async def main_loop(self) -> None:
        """Move the clock and the deadlines until the end begins."""
        loop = asyncio.get_running_loop()
        while not self.should_exit:
            self.state.tick(loop.time())
            await self._drain.tick_passed()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, let exchanges finish, end the application."""
        del sockets
        for server in self.servers:
            server.close()
        await self._drain.run()
        await self.lifespan.shutdown()

    def stop(self) -> None:
        """Stop within `shutdown_seconds`; called again, at once. The supervisor's death counts once, though it is told
        twice: by its pipe and by the kernel's SIGTERM, in any order.
        """
        if self._death_told:
            self._death_told = False
            return
        self._drain.begin(self.state.settings.shutdown_seconds, keep_idle=False)
        self.should_exit = True

    def retire(self) -> None:
        """A successor has taken over: finish what is here within `drain_seconds`."""
        self._drain.begin(self.state.settings.drain_seconds, keep_idle=True)
        self.should_exit = True

    def _orphaned(self) -> None:
        asyncio.get_running_loop().remove_reader(self._life_fd)
        log.warning("the supervisor is gone; stopping")
        signal.alarm(int(self.state.settings.shutdown_seconds) + _ALARM_GRACE)
        if not self.should_exit:
            self.stop()
            self._death_told = True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gateway.server.worker", description="One worker; the supervisor starts it.")
    parser.add_argument("--index", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--listen-fd", type=int, required=True)
    parser.add_argument("--ready-fd", type=int, default=-1)
    parser.add_argument("--life-fd", type=int, default=-1)
    parser.add_argument("--supervisor", type=int, default=0, help="process id; 0: none")
    parser.add_argument("--application", default=APPLICATION)
    return parser


def _load(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    return cast("Callable[..., Any]", getattr(importlib.import_module(module), attribute))


def die_with(supervisor: int) -> None:
    """Have the kernel send SIGTERM when the supervisor dies; end now if it is dead already."""
    if not supervisor:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != supervisor:
        sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
