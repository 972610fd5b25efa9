"""How fast one client reads and writes: pauses, deadlines, and whether it takes its bytes."""

import asyncio
import math
import select
import socket
import struct

from gateway.server.state import WorkerState

HELD, BODY, ASKED = 1, 2, 4
"""Why reading from the client is paused: enough is held behind a request, the body is not taken, we were asked to.
Plain integers: an IntFlag's `&` costs more than the rest of a request's bookkeeping."""


LEFT_GRACE = 0.4
"""Seconds between the client's end of stream and giving its exchange up: a client that only closed its sending side
still gets an answer that is ready by then, one that is gone costs the upstream no more than this."""


class Pace:
    """One connection's pauses and deadlines. Times are the worker's coarse clock, seconds, up to one tick late."""

    __slots__ = ("_left_since", "_state", "_stuck_since", "_taken", "_transport", "deadline", "paused", "written")

    def __init__(self, transport: asyncio.Transport, state: WorkerState, first: float) -> None:
        """`first` is how long the client may say nothing at the beginning."""
        self._transport, self._state = transport, state
        self.paused = 0
        self.written = 0
        self._taken = -1
        self._stuck_since = self._left_since = 0.0
        self.deadline = state.now + first

    def expect(self, seconds: float) -> None:
        """The client must do something within `seconds` from now."""
        self.deadline = self._state.now + seconds

    def expect_nothing(self) -> None:
        """It is our turn, or the application's."""
        self.deadline = math.inf

    def pause(self, reason: int) -> None:
        """Stop reading for one more reason."""
        if not self.paused and not self._transport.is_closing():
            self._transport.pause_reading()
            self._left_since = 0.0
        self.paused |= reason

    def resume(self, reason: int) -> bool:
        """Drop a reason; whether reading goes on now and did not before."""
        if not self.paused & reason:
            return False
        self.paused &= ~reason
        if self.paused or self._transport.is_closing():
            return False
        self._transport.resume_reading()
        return True

    def resume_all(self) -> None:
        """Read on whatever the reason was."""
        self.resume(self.paused)

    def stuck(self, now: float) -> bool:
        """Whether the client took no byte of what waits for it during the whole write timeout."""
        waiting = self._transport.get_write_buffer_size()
        if not waiting:
            self._taken = -1
            return False
        taken = self.written - waiting
        if taken != self._taken:
            self._taken, self._stuck_since = taken, now
            return False
        return now - self._stuck_since > self._state.settings.write_timeout_seconds

    def left(self, now: float, *, may_half_close: bool) -> bool:
        """Whether the client is gone although reading is paused, when neither its end nor its reset is an event.

        Broken off is gone at once. An end of stream counts after `LEFT_GRACE`, or never where it `may_half_close`.
        """
        raw = self._transport.get_extra_info("socket")
        if not self.paused or raw is None or self._transport.is_closing():
            return False
        descriptor = raw.fileno()
        if descriptor < 0:
            return True
        poll = select.poll()
        poll.register(descriptor, select.POLLRDHUP)
        seen = poll.poll(0)
        if not seen:
            return False
        if seen[0][1] & (select.POLLERR | select.POLLHUP):
            return True
        self._left_since = self._left_since or now
        return not may_half_close and now - self._left_since >= LEFT_GRACE

    def reset(self) -> None:
        """Close with a reset: where only the connection's end marks the answer's end, a clean one would lie."""
        raw = self._transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
