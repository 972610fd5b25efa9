"""How a worker ends: announce, let exchanges finish, then cut."""

import asyncio
import logging

from gateway.server.state import WorkerState

TICK_SECONDS = 0.2
ANNOUNCE_SECONDS = 1.0
"""Every answer says `Connection: close` for at least this long before a quiet connection is closed."""
log = logging.getLogger("gateway.worker")


class Drain:
    """The end of one worker. `begin` may come from a signal at any time; a second one means: now."""

    def __init__(self, state: WorkerState) -> None:
        self._state = state
        self._begun_at = 0.0
        self._seconds = 0.0
        self._keep_idle = False
        self._hurry = asyncio.Event()
        self._wake = asyncio.Event()

    def begin(self, seconds: float, *, keep_idle: bool) -> None:
        """Start announcing. `keep_idle`: quiet connections are served until the end or until they go quiet for good.

        A client that never retries loses a request only if it sends one while we close, so on reload, where there is
        time, a quiet connection is kept as long as its keep-alive timeout would have let it live anyway.
        """
        if self._state.draining and not self._keep_idle and not keep_idle:
            self._hurry.set()
        if not self._state.draining or not keep_idle:
            self._seconds, self._keep_idle = seconds, keep_idle
            self._begun_at = asyncio.get_running_loop().time()
        self._state.draining = True
        self._wake.set()

    async def tick_passed(self) -> None:
        """Wait for one tick, or less when the end begins."""
        try:
            async with asyncio.timeout(TICK_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def run(self) -> None:
        """Until no connection and no task is left, or the time is up and both have been cut."""
        loop, state = asyncio.get_running_loop(), self._state
        while state.gateway_connections or state.tasks:
            now = loop.time()
            state.tick(now)
            if self._hurry.is_set() or now - self._begun_at >= self._seconds:
                break
            if not self._keep_idle and now - self._begun_at >= min(ANNOUNCE_SECONDS, self._seconds):
                for connection in tuple(state.gateway_connections):
                    connection.shutdown()
            await self.tick_passed()
        await self._cut()

    async def _cut(self) -> None:
        state = self._state
        if state.gateway_connections:
            log.warning("cutting %d connections that did not end in time", len(state.gateway_connections))
        state.cutting = True
        for connection in tuple(state.gateway_connections):
            if connection.is_idle():
                connection.close()
            else:
                connection.transport.abort()
        # connection_lost tells the applications; they get a moment to record what they know.
        deadline = asyncio.get_running_loop().time() + 1.0
        while (state.tasks or state.gateway_connections) and asyncio.get_running_loop().time() < deadline:
            await self.tick_passed()
        for task in tuple(state.tasks):
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)
