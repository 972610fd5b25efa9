"""The short way through a client's connection: heads that are known byte for byte, answers that are written whole.

Both say what the long way says of the same bytes; whatever is out of the ordinary takes that one.
"""

import math
from hashlib import sha256

from gateway.bounded_reads import block
from gateway.server.phases import BUSY, IDLE
from gateway.server.protocol import GatewayProtocol

MOST_KNOWN = 4_096
"""Bytes of a head that may be known; longer ones are rare, and read again each time."""


class ExpressProtocol(GatewayProtocol):
    """A client connection of a worker that has an express door."""

    def buffer_updated(self, nbytes: int) -> None:
        """The loop has read. What is known has no body and keeps the connection."""
        if self.phase != IDLE or nbytes > MOST_KNOWN or not self._heads.is_fresh():
            self.data_received(block[:nbytes].tobytes())
            return
        door = self.state.door
        assert door is not None
        mark = sha256(block[:nbytes]).digest() + self._peer
        request = door.known(self, mark)
        if request is None:
            self._mark = mark
            self.data_received(block[:nbytes].tobytes())
            self._mark = b""
            return
        self.phase, self.cycle, self._stays_open = BUSY, request, True
        self.pace.deadline = math.inf

    def takes_whole(self) -> bool:
        """Whether an answer may be written as one piece: the request is read to its end, and another may follow."""
        return self.phase == BUSY and self._stays_open and not self._eof and not self.state.draining

    def answer_whole(self, answer: bytes) -> None:
        """Write an answer, and go on; as `write` and `answered` in one, for the ordinary case."""
        transport, pace, state = self.transport, self.pace, self.state
        # First: the transport may say that the client is slow, and this request has nobody left to tell.
        self.cycle = self._head = None
        if not transport.is_closing():
            pace.written += len(answer)
            transport.write(answer)
        if self._held or pace.paused or self.write_paused:
            self.answered(stay_open=True)
            return
        state.total_requests += 1
        self.phase = IDLE
        pace.deadline = state.now + self.settings.keepalive_timeout_seconds
