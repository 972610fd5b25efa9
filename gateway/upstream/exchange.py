"""One request on its way to an upstream: what `UpstreamPool.send` returns."""

from typing import TYPE_CHECKING, Final

from gateway.ends import Deadlines, FailureKind, Reply, UpstreamFailure, UpstreamRequest
from gateway.upstream.request_head import request_head

if TYPE_CHECKING:
    from gateway.upstream.connection import Connection
    from gateway.upstream.origin import Origin

# Plain integers in order, not an Enum: they are compared on every event of the hot path.
QUEUED: Final = 0
DIALING: Final = 1
AWAITING_HEAD: Final = 2
IN_BODY: Final = 3
TUNNEL: Final = 4
TUNNEL_CLOSING: Final = 5
OVER: Final = 6

LAST_CHUNK = b"0\r\n\r\n"


class Exchange:
    """The UpstreamExchange of one request. `phase` only grows, except when a request is sent once more.

    `since` is the pool's clock at the last progress that the deadline of the present phase counts from. Most of the
    state stands in the class until it changes: an ordinary GET never changes it, and so never pays for it.
    """

    phase = QUEUED
    connection: "Connection | None" = None
    bytes_out = 0
    bytes_in = 0
    finished = True
    paused = False
    dropping = False
    retried = False
    # Told `upstream_pause`, and not yet `upstream_resume`.
    held_back = False
    unsent_seen = 0
    _held: list[bytes] | None = None
    _taken = 0

    def __init__(
        self, origin: "Origin", request: UpstreamRequest, reply: Reply, deadlines: Deadlines, head: bytes = b""
    ) -> None:
        self.origin = origin
        self.request = request
        self.reply = reply
        self.deadlines = deadlines
        self.head = head or request.head or request_head(request)
        self.begun = self.since = origin.clock.now
        if request.body != 0:
            self.finished = False

    def write(self, chunk: bytes) -> None:
        """Send request body bytes; held, behind `upstream_pause`, until there is a connection.

        Raises ValueError for more than the announced length, after giving the exchange up.
        """
        if not chunk or self.phase > IN_BODY or self.dropping:
            return
        self._taken += len(chunk)
        announced = self.request.body
        if announced is not None and self._taken > announced:
            self.abort()
            raise ValueError(f"request body longer than the announced {announced} bytes")
        if self.phase >= AWAITING_HEAD:
            self._send_body(chunk)
        elif self._held is None:
            self._held = [chunk]
            self.hold_back()
        else:
            self._held.append(chunk)

    def finish(self) -> None:
        """The request body is whole. Raises ValueError if it is not as long as announced, after giving up."""
        if self.finished or self.phase > IN_BODY:
            return
        announced = self.request.body
        if announced is not None and self._taken != announced and not self.dropping:
            self.abort()
            raise ValueError(f"request body ended after {self._taken} of {announced} bytes")
        self.finished = True
        self.since = self.origin.clock.now
        if announced is None and self.connection is not None and not self.dropping:
            self.connection.transport.write(LAST_CHUNK)

    def pause(self) -> None:
        """Stop reading the answer: the client is slower."""
        self.paused = True
        if self.connection is not None and AWAITING_HEAD <= self.phase <= TUNNEL:
            self.connection.pause_reading()

    def resume(self) -> None:
        """Read on."""
        self.paused = False
        self.since = self.origin.clock.now
        if self.connection is not None and AWAITING_HEAD <= self.phase <= TUNNEL:
            self.connection.resume_reading()

    def abort(self) -> None:
        """Give up: the connection is closed hard, and no more reply call is made."""
        if self.phase == OVER:
            return
        connection = self.connection
        self.end()
        if connection is not None:
            connection.discard()

    def send_on(self, connection: "Connection") -> None:
        """Write head and held body to this connection, which serves the exchange from now on."""
        held = self._held
        if held is None:
            connection.transport.write(self.head)
        else:
            self._held = None
            self._send_held(connection, held)
        if self.finished and self.request.body is None:
            connection.transport.write(LAST_CHUNK)
        if self.paused:
            connection.pause_reading()
        if not connection.writing_paused:
            self.let_go()

    def hold_back(self) -> None:
        """The upstream takes no more request body now: told once, and only while there is more to come."""
        if not self.held_back and not self.finished:
            self.held_back = True
            self.reply.upstream_pause()

    def let_go(self) -> None:
        """It does again: told once for each time it was held back, even if the body has ended since."""
        if self.held_back:
            self.held_back = False
            self.reply.upstream_resume()

    def end(self) -> None:
        """Leave queue, deadlines and connection; no more reply call comes after this but the one of the caller."""
        if self.phase == QUEUED:
            self.origin.forget(self)
        self.phase = OVER
        self.connection = self._held = None
        self.origin.active.discard(self)

    def fail(self, kind: FailureKind, internal: str, *, sent: bool) -> None:
        """No (whole) answer will come: the last call to the reply."""
        if self.phase != OVER:
            self.end()
            self.reply.reply_failed(UpstreamFailure(kind, sent, internal))

    def fail_now(self, kind: FailureKind, internal: str) -> None:
        """Fail from outside (a deadline, the pool's end), whatever the phase is."""
        if self.connection is not None:
            self.connection.fail(kind, internal)
        else:
            self.fail(kind, internal, sent=False)

    def nothing_left(self) -> bool:
        """Whether not one byte of this request can have left the process."""
        connection = self.connection
        if connection is None:
            return True
        return self.bytes_out == 0 and connection.transport.get_write_buffer_size() >= len(self.head)

    def _send_held(self, connection: "Connection", held: list[bytes]) -> None:
        """One write for the head and what came of the body while there was no connection."""
        body = b"".join(held)
        self.bytes_out += len(body)
        if self.request.body is None:
            body = b"%x\r\n%b\r\n" % (len(body), body)
        connection.transport.write(self.head + body)

    def _send_body(self, chunk: bytes) -> None:
        assert self.connection is not None
        transport = self.connection.transport
        self.bytes_out += len(chunk)
        self.since = self.origin.clock.now
        if self.request.body is None:
            transport.writelines((b"%x\r\n" % len(chunk), chunk, b"\r\n"))
        else:
            transport.write(chunk)
