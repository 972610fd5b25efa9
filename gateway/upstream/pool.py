"""Our own upstream connections: HTTP/1.1, kept alive, streaming both ways, with back-pressure and without tasks."""

import asyncio
from typing import Final

from domain.settings import UpstreamSettings
from domain.snapshots import UpstreamSnapshot
from gateway.ends import Deadlines, Reply, UpstreamRequest
from gateway.upstream.clock import Clock
from gateway.upstream.deadlines import SWEEP_SECONDS, overdue
from gateway.upstream.dial import Target
from gateway.upstream.exchange import Exchange
from gateway.upstream.head_memory import Heads
from gateway.upstream.origin import Origin, OriginStatistics

_MAX_KNOWN: Final = 4_096


class UpstreamPool:
    """All upstream connections of one worker. Belongs to the event loop that it is first used on."""

    def __init__(self, settings: UpstreamSettings) -> None:
        self._settings = settings
        self.clock = Clock()
        self._origins: dict[tuple[str, str, int, bool], Origin] = {}
        # By the identity of snapshots, which are kept here so that it stays theirs: comparing their fields costs more.
        self._known: dict[int, tuple[UpstreamSnapshot, Origin]] = {}
        self._active: set[Exchange] = set()
        self._heads: Heads = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._quiet = asyncio.Event()

    def send(
        self,
        origin: UpstreamSnapshot,
        request: UpstreamRequest,
        reply: Reply,
        deadlines: Deadlines,
        max_connections: int,
        head: bytes = b"",
    ) -> Exchange:
        """Send a request, at once if a clean connection is idle; `reply` is not called before this returns.

        `head` stands in for `request.head`, so that one `request` may serve many exchanges.

        `max_connections` bounds this origin's connections in this worker; behind it requests wait in order, at most
        `queue_limit` of them and at most the connect deadline long, then they fail as "overloaded". Raises ValueError
        for a request that must not be written (a control character in a header, say): a bug of the caller.
        """
        known = self._known.get(id(origin))
        connections = known[1] if known is not None else self._connections_to(origin)
        exchange = Exchange(connections, request, reply, deadlines, head)
        self._active.add(exchange)
        if self._closing:
            assert self._loop is not None
            self._loop.call_soon(exchange.fail_now, "overloaded", "the gateway stops")
        else:
            connections.serve(exchange, max_connections)
        return exchange

    async def close(self, grace_seconds: float) -> None:
        """Let exchanges in progress end for so long, then close everything. Later requests fail as "overloaded"."""
        self._closing = True
        for origin in self._origins.values():
            origin.close()
        await self._wait_quiet(grace_seconds)
        for exchange in list(self._active):
            exchange.fail_now("closed", "the gateway stops")
        for origin in self._origins.values():
            origin.close_hard()
        await self._wait_quiet(1.0)
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None

    def statistics(self) -> list[OriginStatistics]:
        """One entry per origin with an open connection or a waiting request."""
        return [origin.statistics() for origin in self._origins.values()]

    def in_flight(self) -> int:
        """Exchanges and tunnels in progress."""
        return len(self._active)

    def _connections_to(self, origin: UpstreamSnapshot) -> Origin:
        """Known only while the sweep runs: it forgets all when an origin is empty, and when it goes to sleep."""
        if self._sweep_timer is None:
            self._wake()
        key = (origin.scheme, origin.host, origin.port, origin.tls_verify)
        connections = self._origins.get(key)
        if connections is None:
            connections = Origin(Target(*key), self._settings, self.clock, self._active, self._heads)
            self._origins[key] = connections
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[id(origin)] = (origin, connections)
        return connections

    async def _wait_quiet(self, seconds: float) -> None:
        if self._sweep_timer is None:
            return
        self._quiet.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        except TimeoutError:
            return

    def _wake(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.clock.now = self._loop.time()
        self._sweep_timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Look at every deadline once; sleeps again when there is nothing to look at."""
        assert self._loop is not None
        now = self.clock.now = self._loop.time()
        missed = [(exchange, kind) for exchange in self._active if (kind := overdue(exchange, now)) is not None]
        for exchange, kind in missed:
            exchange.fail_now(kind, f"{kind} of {exchange.origin.target}")
        empty = []
        for key, origin in self._origins.items():
            origin.expire_idle(now)
            if origin.is_empty():
                empty.append(key)
        for key in empty:
            del self._origins[key]
        if empty:
            self._known.clear()
        if self._origins or self._active:
            self._sweep_timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)
        else:
            self._sweep_timer = None
            self._quiet.set()
