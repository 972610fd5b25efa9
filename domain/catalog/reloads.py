"""Reloads of the small tables: one at a time, and any number of wishes during one make one more."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic

from domain.catalog.lending import READ_FAULTS

_SHORTEST_REST, _LONGEST_REST = 0.05, 0.5
_REST_PER_LOAD = 4
"""Under a stream of changes a fifth of the time goes into loading at the most, so that requests are served."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 2.0

_log = logging.getLogger(__name__)


class Reloads:
    """Runs `load` when wanted, again and again until it succeeds."""

    def __init__(self, load: Callable[[], Awaitable[None]]) -> None:
        self._load = load
        self._wanted = asyncio.Event()
        self._waiters: list[asyncio.Future[None]] = []
        self._pause = _FIRST_PAUSE
        self.count = 0

    def want(self) -> None:
        """Something changed: a load that begins after now will run."""
        self._wanted.set()

    async def fresh(self) -> None:
        """Wait for a load that begins after now. Raises what it raises, one of READ_FAULTS."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._wanted.set()
        await waiter

    async def run(self) -> None:
        """Serve wishes until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            waiters, self._waiters = self._waiters, []
            await asyncio.sleep(await self._once(waiters))

    async def _once(self, waiters: list[asyncio.Future[None]]) -> float:
        """Load once; the seconds to rest before the next."""
        begun = monotonic()
        try:
            await self._load()
        except Exception as fault:  # noqa: BLE001  whatever it is, the old tables go on serving and the next try comes
            expected = isinstance(fault, READ_FAULTS)
            _log.warning("could not read plans and services: %r", fault, exc_info=None if expected else fault)
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_exception(fault)
            self._wanted.set()
            pause, self._pause = self._pause, min(self._pause * 2, _LONGEST_PAUSE)
            return pause
        self.count += 1
        self._pause = _FIRST_PAUSE
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        return min(max(_REST_PER_LOAD * (monotonic() - begun), _SHORTEST_REST), _LONGEST_REST)
