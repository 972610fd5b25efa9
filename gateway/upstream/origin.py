"""The connections to one origin: idle ones, a limit, and the requests that wait for one of them."""

import asyncio
import socket
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from domain.settings import UpstreamSettings
from gateway.upstream.clock import Clock
from gateway.upstream.connection import Connection
from gateway.upstream.dial import DialError, Target, dial
from gateway.upstream.exchange import DIALING, Exchange
from gateway.upstream.head_memory import Heads

if TYPE_CHECKING:
    from asyncio import Task

_SURPLUS_SECONDS = 1.0
"""Bytes that come so soon behind an answer belong to it; later ones are a server's farewell, a 408 say."""
_DISTRUSTED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class OriginStatistics:
    """`open` counts idle connections too; `opened`, `reused`, `again` (requests sent twice) count from the start."""

    name: str
    open: int
    idle: int
    dialing: int
    waiting: int
    opened: int
    reused: int
    again: int


class Origin:
    """One scheme, host, port and way of verifying."""

    def __init__(
        self, target: Target, settings: UpstreamSettings, clock: Clock, active: set[Exchange], heads: Heads
    ) -> None:
        self.target = target
        self.settings = settings
        self.clock = clock
        self.active = active
        self.heads = heads
        self.limit = 1
        self.closing = False
        self._distrusted_until = 0.0
        self._open: set[Connection] = set()
        self._idle: list[Connection] = []
        self._waiting: OrderedDict[Exchange, None] = OrderedDict()
        self._dials: set[Task[None]] = set()
        self._opened = self._reused = self._again = 0

    @property
    def size(self) -> int:
        """Connections that are open or being opened: counted, not kept, so that no way of failing can miscount."""
        return len(self._open) + len(self._dials)

    def serve(self, exchange: Exchange, limit: int) -> None:
        """Send on the connection that was used last, or a new one, or wait for one. No reply call is made in here."""
        self.limit = limit
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.may_take(exchange.request):
                self._reused += 1
                connection.begin(exchange)
                return
            connection.discard()
        if self.size < limit:
            self._dial(exchange)
        elif len(self._waiting) < self.settings.queue_limit:
            self._waiting[exchange] = None
        else:
            # The caller has no exchange in its hands yet.
            asyncio.get_running_loop().call_soon(self._refuse, exchange, f"{self.target}: too many requests wait")

    def send_again(self, exchange: Exchange) -> None:
        """Send on a fresh connection what an aged one did not take."""
        self._again += 1
        exchange.retried = True
        exchange.connection = None
        # Not behind the queue, and possibly one over the limit: the dead connection's place is free in a moment.
        self._dial(exchange)

    def made(self, connection: Connection) -> None:
        """A connection was opened."""
        self._opened += 1
        self._open.add(connection)
        # A tunnel may be silent for hours; without this a peer that vanished would never be noticed.
        connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def release(self, connection: Connection) -> None:
        """Take a clean connection back: the request that waits longest gets it, otherwise it is kept."""
        if self.closing:
            connection.discard()
        elif self._waiting:
            exchange = next(iter(self._waiting))
            if connection.may_take(exchange.request):
                self._reused += 1
                del self._waiting[exchange]
                connection.begin(exchange)
            else:
                connection.discard()
        else:
            connection.idle_since = self.clock.now
            self._idle.append(connection)

    def spoke_unasked(self, connection: Connection) -> None:
        """Close it: bytes came behind a whole answer. The next time they may come a moment later and be taken for somebody else's
        answer, so for a while this origin's connections serve one request each.
        """
        if self.clock.now - connection.idle_since < _SURPLUS_SECONDS:
            self._distrusted_until = self.clock.now + _DISTRUSTED_SECONDS
        connection.discard()

    def is_distrusted(self) -> bool:
        """Whether its answers do not end where they say."""
        return self.clock.now < self._distrusted_until

    def lost(self, connection: Connection) -> None:
        """A connection is closed; its place is free."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._serve_waiting()

    def forget(self, exchange: Exchange) -> None:
        """Take an exchange out of the queue, if it is there."""
        self._waiting.pop(exchange, None)

    def expire_idle(self, now: float) -> None:
        """Close connections that were idle for long enough."""
        keepalive = self.settings.keepalive_seconds
        for connection in [each for each in self._idle if each.idle_since + each.may_idle(keepalive) <= now]:
            self._idle.remove(connection)
            connection.discard()

    def is_empty(self) -> bool:
        """Whether nothing is open, being opened or waiting."""
        return not (self.size or self._waiting)

    def close(self) -> None:
        """Close what is idle now and everything else once it is idle."""
        self.closing = True
        self.expire_idle(float("inf"))

    def close_hard(self) -> None:
        """Close every connection and stop opening more."""
        for task in self._dials:
            task.cancel()
        for connection in list(self._open):
            connection.fail("closed", "the gateway stops")
            connection.discard()

    def statistics(self) -> OriginStatistics:
        """What it holds now and did so far."""
        return OriginStatistics(
            name=str(self.target),
            open=len(self._open),
            idle=len(self._idle),
            dialing=len(self._dials),
            waiting=len(self._waiting),
            opened=self._opened,
            reused=self._reused,
            again=self._again,
        )

    def _refuse(self, exchange: Exchange, internal: str) -> None:
        exchange.fail("overloaded", internal, sent=False)

    def _serve_waiting(self) -> None:
        while self._waiting and self.size < self.limit:
            self._dial(self._waiting.popitem(last=False)[0])

    def _dial(self, exchange: Exchange) -> None:
        exchange.phase = DIALING
        task = asyncio.get_running_loop().create_task(self._open_for(exchange))
        self._dials.add(task)
        task.add_done_callback(self._dials.discard)

    async def _open_for(self, exchange: Exchange) -> None:
        attempts: list[Connection] = []

        def attempt() -> Connection:
            attempts.append(Connection(self))
            return attempts[-1]

        try:
            made = await dial(self.target, attempt, exchange.deadlines.connect)
        except BaseException as fault:
            # A deadline or a stop may come between the connection's being made and our being told.
            for connection in attempts:
                connection.abandon()
            if not isinstance(fault, DialError):
                exchange.fail("connect", f"{self.target}: gave up connecting", sent=False)
                raise
            exchange.fail(fault.kind, fault.internal, sent=False)
        else:
            for connection in attempts:
                if connection is not made:
                    connection.abandon()
            self._opened_for(exchange, cast("Connection", made))
        finally:
            # The place of this dial is free, or taken by the connection itself.
            self._dials.discard(cast("Task[None]", asyncio.current_task()))
            self._serve_waiting()

    def _opened_for(self, exchange: Exchange, connection: Connection) -> None:
        if connection.lost or connection.transport.is_closing():
            exchange.fail("closed", f"{self.target}: closed before the request was sent", sent=False)
        elif exchange.phase == DIALING:
            connection.begin(exchange)
        else:
            self.release(connection)
