"""The short way through a client's connection: heads whose parts are known byte for byte, answers that are written whole.

Both say what the long way says of the same bytes; whatever is out of the ordinary takes that one.
"""

import math
from hashlib import sha256

from gateway.admissions import Mark
from gateway.bounded_reads import room
from gateway.server.guard import CRLF
from gateway.server.phases import BUSY, IDLE
from gateway.server.protocol import GatewayProtocol


class ExpressProtocol(GatewayProtocol):
    """A client connection of a worker that has an express door."""

    def buffer_updated(self, nbytes: int) -> None:
        """The loop has read. What is known has no body and keeps the connection."""
        data = room[:nbytes]
        if self.phase != IDLE or nbytes > self.state.most_known or not self._heads.is_fresh():
            self.data_received(data)
            return
        door = self.state.door
        assert door is not None
        line, _, fields = data.partition(CRLF)
        fields_mark = sha256(fields).digest() + self._peer
        request = door.known(self, line, fields, fields_mark)
        if request is None:
            # What begins with an empty line has its request line behind it.
            self._mark = Mark(line, fields, fields_mark) if line else None
            self.data_received(data)
            self._mark = None
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
