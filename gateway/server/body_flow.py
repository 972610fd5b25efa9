"""When a client may send its request body: asked for, held up, let go. One side of a connection."""

import asyncio

from domain.settings import GatewaySettings
from gateway.bounded_reads import BoundedReads
from gateway.server import pace
from gateway.server.pace import Pace
from gateway.server.phases import BODY


class BodyFlow(BoundedReads):
    """A connection's part that whoever takes the body talks to. Harmless once the body is whole."""

    transport: asyncio.Transport
    settings: GatewaySettings
    pace: Pace
    phase: int
    _wants_continue: bool

    def write(self, data: bytes) -> None:
        """Send bytes to the client, unless it is gone."""
        if not self.transport.is_closing():
            self.pace.written += len(data)
            self.transport.write(data)

    def want_body(self) -> None:
        """The body is waited for: let a client that asked first send it."""
        if self._wants_continue and self.phase == BODY:
            self._wants_continue = False
            self.pace.expect(self.settings.body_timeout_seconds)
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def hold_body(self) -> None:
        """Enough of the body is held: whoever takes it is slower than the client."""
        self._stop_reading(pace.BODY)

    def release_body(self) -> None:
        """What was held is taken."""
        self._go_on_reading(pace.BODY)

    def pause_body(self) -> None:
        """The application, or the upstream, asked for a pause."""
        self._stop_reading(pace.ASKED)

    def resume_body(self) -> None:
        """It wants more."""
        self._go_on_reading(pace.ASKED)

    def _stop_reading(self, reason: int) -> None:
        if self.phase == BODY:
            self.pace.pause(reason)
            self.pace.expect_nothing()

    def _go_on_reading(self, reason: int) -> None:
        if self.pace.paused and self.pace.resume(reason) and self.phase == BODY and not self._wants_continue:
            self.pace.expect(self.settings.body_timeout_seconds)
