"""A client's connection: heads through the guard, bodies framed, one request at a time, every wait bounded.

uvicorn's `Server` makes one per connection. It stands in the place of uvicorn's own `HttpToolsProtocol` and shares its
constructor, but no code: that one parses ahead through pipelined requests, has no read timeouts and closes with a
reset. Deadlines are plain numbers that the worker's reaper looks at (`check`), so a request costs no timer.
"""

import asyncio
from typing import TYPE_CHECKING, Any, cast

from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl

from domain.refusals import MalformedRequest, Overloaded, Refusal
from gateway.ends import UpstreamTunnel
from gateway.server import guard, lateness, pace
from gateway.server.answer import Answer
from gateway.server.body_flow import BodyFlow
from gateway.server.cycle import Application, Cycle
from gateway.server.framing import BodyReader, body_reader
from gateway.server.heads import HeadReader
from gateway.server.pace import Pace
from gateway.server.phases import BODY, BUSY, CLOSED, IDLE, LINGER, TUNNEL
from gateway.server.refusing import answer_refusal
from gateway.server.served import Served
from gateway.server.state import WorkerState
from gateway.server.tunnel_end import ClientTunnelEnd

if TYPE_CHECKING:
    from uvicorn.server import ServerState

    from gateway.admissions import Mark
    from gateway.server.express_protocol import ExpressProtocol

WRITE_HIGH_WATER = 65_536
WRITE_LOW_WATER = 16_384
MAX_HELD = 65_536
"""Bytes behind the request in progress that are read before reading pauses."""
SMALL_REST = 65_536
"""A body rest that is read and dropped so that the connection can be kept."""
MAX_LINGER_BYTES = 64 << 20
MOST_IN_A_ROW = 32
"""Pipelined requests that one connection begins before the loop looks at the others."""


class GatewayProtocol(BodyFlow):
    """One client connection. `phase` says what the next bytes are."""

    def __init__(
        self,
        config: Config,
        server_state: "ServerState",
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """As uvicorn makes its protocols; `server_state` is our `WorkerState`."""
        self.state = cast("WorkerState", server_state)
        self.settings = self.state.settings
        self.app_state = app_state
        self.application = cast("Application", config.loaded_app)
        self.loop = _loop or asyncio.get_event_loop()
        self._heads = HeadReader(self.state.rules)
        self.phase = IDLE
        self.cycle: Served | None = None
        self.write_paused = False
        self._mark: Mark | None = None
        self._peer = b""
        self._head: guard.RequestHead | None = None
        self._reader: BodyReader | None = None
        self._tunnel: ClientTunnelEnd | None = None
        self._held = b""
        self._eof = self._advancing = self._wants_continue = False
        self._stays_open = True
        self._dropped = 0

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it when there are too many."""
        self.transport = transport = cast("asyncio.Transport", transport)
        transport.set_write_buffer_limits(WRITE_HIGH_WATER, WRITE_LOW_WATER)
        self.client, self.server = get_remote_addr(transport), get_local_addr(transport)
        self.scheme = "https" if is_ssl(transport) else "http"
        self._peer = f"{self.client and self.client[0]} {self.scheme}".encode()
        self.pace = Pace(transport, self.state, self.settings.header_timeout_seconds)
        connections = self.state.gateway_connections
        connections.add(self)
        if len(connections) > self.settings.max_connections:
            self.refuse(Overloaded("The gateway has too many connections.", retry_after_seconds=1))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever still works for this client."""
        del exc
        self.state.gateway_connections.discard(self)
        self.phase, self._held = CLOSED, b""
        tunnel, self._tunnel = self._tunnel, None
        if tunnel is not None:
            tunnel.lost()
        self._give_up_cycle()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        phase = self.phase
        if phase == IDLE:
            self._take_head(data)
        elif phase == BODY:
            self._take_body(data)
        elif phase == BUSY:
            self._held += data
            if len(self._held) > MAX_HELD:
                self.pace.pause(pace.HELD)
        elif phase == TUNNEL and self._tunnel is not None:
            self._tunnel.from_client(data)
        elif phase == LINGER:
            self._dropped += len(data)
            if self._dropped > MAX_LINGER_BYTES:
                self.pace.pause(pace.HELD)

    def eof_received(self) -> bool:
        """The client will send no more. True keeps our side open."""
        self._eof = True
        if self.is_idle():
            self.close()
        elif self.phase == IDLE:
            self.refuse(MalformedRequest("The request ended before its head did."))
        elif self.phase == BODY:
            self.break_request(MalformedRequest("The request ended before its body did."))
        elif self.phase == BUSY:
            self.pace.expect(pace.LEFT_GRACE)
        elif self.phase == TUNNEL and self._tunnel is not None:
            self._tunnel.client_eof()
        else:
            self.close()
        return True

    def pause_writing(self) -> None:
        """More than `WRITE_HIGH_WATER` bytes wait for the client."""
        self.write_paused = True
        if self._tunnel is not None:
            self._tunnel.client_slow()
        elif self.cycle is not None:
            self.cycle.choked()
        elif self.is_idle():
            self._wait_for_room()

    def resume_writing(self) -> None:
        """Fewer than `WRITE_LOW_WATER` wait."""
        self.write_paused = False
        if self._tunnel is not None:
            self._tunnel.client_ready()
        elif self.cycle is not None:
            self.cycle.writable()
        else:
            self._go_on()

    # -- requests in

    def _take_head(self, data: bytes) -> None:
        begun, found = bool(self._heads.held), None
        try:
            found = self._heads.feed(data)
            if found is not None:
                self._begin(*found)
            elif not begun and self._heads.held:
                self.pace.expect(self.settings.header_timeout_seconds)
        except Refusal as refusal:
            head_only = found[0].method == b"HEAD" if found else self._heads.is_head_request()
            self.refuse(refusal, head_only=head_only)

    def _begin(self, head: guard.RequestHead, rest: bytes) -> None:
        """Start on a request whose head passed. Raises a refusal if its body is already broken."""
        self._head, self._stays_open = head, head.keep_alive and not head.upgrade
        door = self.state.door
        if door is not None and door.takes(head.target):
            # The mark is of all that was read: of this head, if nothing stands behind it.
            mark, self._mark = None if rest or not head.keep_alive else self._mark, None
            cycle: Served = door.admit(cast("ExpressProtocol", self), head, mark)
        else:
            cycle = Cycle(self, head)
        if head.body == 0:
            self.phase, self._held = BUSY, rest
            self.pace.expect_nothing()
        else:
            self._held = b""
            self.phase = BODY
            self.pace.resume(pace.HELD)
            self._reader = body_reader(head.body, self.settings.max_body_bytes, self.settings.max_header_bytes)
            self._wants_continue = head.expect_continue and not rest
            if self._wants_continue:
                self.pace.expect_nothing()
            else:
                self.pace.expect(self.settings.body_timeout_seconds)
            if rest:
                self._feed(rest, cycle)
        self.cycle = cycle
        cycle.start()

    def _take_body(self, data: bytes) -> None:
        self._wants_continue = False
        self.pace.expect(self.settings.body_timeout_seconds)
        try:
            self._feed(data, self.cycle)
        except Refusal as refusal:
            self.break_request(refusal)
            return
        if self.cycle is None and self.phase == BUSY:
            self._advance()

    def _feed(self, data: bytes, cycle: Served | None) -> None:
        """Give body bytes to the request; without one (it was answered early) they are dropped."""
        reader = cast("BodyReader", self._reader)
        body, rest = reader.feed(data)
        if reader.done:
            self._reader, self.phase, self._held = None, BUSY, rest
            self.pace.expect_nothing()
        if cycle is not None:
            if body:
                cycle.body(body)
            if reader.done:
                cycle.body_end()

    def _advance(self) -> None:
        """Go on with what the client sent behind the last request, or wait for it to send more.

        Answers may be whole before `_take_head` returns: this loop begins the next request then, not a call in a call.
        A client that does not take its answers gets no further ones, and one that sends far ahead lets others in.
        """
        self.phase = IDLE
        if self._advancing:
            return
        self._advancing = True
        begun = 0
        while self.phase == IDLE and self._held:
            if self.write_paused or begun == MOST_IN_A_ROW:
                self.phase = BUSY
                if not self.write_paused:
                    self.loop.call_soon(self._go_on)
                break
            begun += 1
            held, self._held = self._held, b""
            self._take_head(held)
        self._advancing = False
        if self.phase == IDLE:
            self.pace.resume(pace.HELD)
            if self._eof:
                self.eof_received()
            elif self.write_paused and not self._heads.held:
                self._wait_for_room()
            elif not self._heads.held:
                self.pace.expect(self.settings.keepalive_timeout_seconds)

    def _wait_for_room(self) -> None:
        """Begin nothing before the client has taken its answers: what it asks for meanwhile is held like what it pipelines."""
        self.phase = BUSY
        self.pace.expect_nothing()

    def _go_on(self) -> None:
        """Begin the next request if nothing is in progress; harmless at any time."""
        if self.phase == BUSY and self.cycle is None and not self.write_paused:
            self._advance()

    def break_request(self, refusal: Refusal) -> None:
        """The request in progress turned out broken: answer if there is still time, else cut."""
        cycle, head = self.cycle, self._head
        if cycle is not None and not cycle.answer.begun:
            self.refuse(refusal, head_only=head is not None and head.method == b"HEAD")
        elif cycle is not None:
            cycle.answer.abort()
        else:
            self.close()

    # -- answers out

    def may_stay_open(self) -> bool:
        """False if the answer now begun must be the last: the client says so, we stop, or much of a body is unread."""
        if not self._stays_open or self.state.draining or self._eof:
            return False
        if self._reader is None:
            return True
        left = self._reader.left()
        return left is not None and left <= SMALL_REST and not self._wants_continue

    def answered(self, *, stay_open: bool) -> None:
        """The answer is whole: drop the body's rest, go on with the next request, or close."""
        cycle, self.cycle, self._head = self.cycle, None, None
        self.state.total_requests += 1
        if cycle is not None:
            cycle.finished()
        if self.pace.paused:
            self.pace.resume(pace.BODY | pace.ASKED)
        if not stay_open:
            self._linger()
        elif self.phase == BODY:
            self.pace.expect(self.settings.body_timeout_seconds)
        elif self.phase == BUSY:
            self._advance()

    def refuse(self, refusal: Refusal, *, head_only: bool = False) -> None:
        """Answer a request that the guard stops; nothing behind it is read as a request."""
        self.state.identity.refused[refusal.code] += 1
        self._reader, self._held, self.phase = None, b"", BUSY
        self._give_up_cycle()
        answer = Answer(self, head_only=head_only, http10=False)
        answer_refusal(refusal, answer, self.state.date, close=True)

    def cut(self, *, reset: bool) -> None:
        """End the connection without the answer's end."""
        cycle, self.cycle = self.cycle, None
        if cycle is not None:
            cycle.gone()
        self.phase = CLOSED
        if reset:
            self.pace.reset()
        else:
            self.transport.close()

    def close(self) -> None:
        """Close once what was written is sent."""
        self.phase, self._held = CLOSED, b""
        self.transport.close()

    def _give_up_cycle(self) -> None:
        cycle, self.cycle = self.cycle, None
        if cycle is not None:
            cycle.gone()

    def _linger(self) -> None:
        """Close so that the last answer arrives.

        Closing with unread bytes makes the kernel send a reset, which makes the client's kernel throw away what it
        has received. So: end our side, read and drop until the client ends its own or time is up.
        """
        self._held, self._reader, self.phase = b"", None, LINGER
        if self._eof or not self.settings.linger_seconds or self.transport.is_closing():
            self.close()
            return
        self.pace.resume_all()
        self.pace.expect(self.settings.linger_seconds)
        if self.transport.can_write_eof():
            self.transport.write_eof()

    # -- tunnel, time

    def begin_tunnel(self, head: bytes, upstream: UpstreamTunnel) -> bool:
        """See `ClientConnection.tunnel`."""
        cycle, asked = self.cycle, self._head
        if self.phase != BUSY or cycle is None or asked is None or not asked.upgrade or cycle.answer.begun or self._eof:
            return False
        cycle.tunneled = cycle.answer.done = True
        held, self._held = self._held, b""
        self.write(head)
        self.phase, self._tunnel = TUNNEL, ClientTunnelEnd(self, upstream)
        self.pace.resume_all()
        self.pace.expect(self.settings.keepalive_timeout_seconds)
        upstream.attach(self._tunnel)
        if held and self._tunnel is not None:
            self._tunnel.from_client(held)
        return True

    def check(self, now: float) -> None:
        """Called by the reaper: act on what took too long."""
        lateness.check(self, now)

    def is_idle(self) -> bool:
        """Whether no request is in progress, and nothing of one has come."""
        waits = self.phase == IDLE or (self.phase == BUSY and self.cycle is None and not self._held)
        return waits and not self._heads.held

    def shutdown(self) -> None:
        """Uvicorn's name for: close if idle, else close behind the answer (`WorkerState.draining` does that)."""
        if self.is_idle():
            self.close()
