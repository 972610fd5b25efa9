"""What time it is, and in which turn of the loop: both cheap enough to be asked for by every request."""

import asyncio
import logging
from collections.abc import Callable

log = logging.getLogger("paid_endpoint.gateway")


class Clock:
    """`now` is the time of the last sweep, in seconds of the loop's clock: a stamp costs an attribute read.

    `turn` counts the loop's turns in which somebody asked for one. Within a turn the loop hands out what it found in its
    sockets at the turn's begin; it looks again, and so learns what came since, only before the next. What is to be done
    together for all that was read in a turn is done at its end, still before that look.

    `ending`: the turn's end has come, so everything that the loop found in its sockets was handed out.
    """

    __slots__ = ("_at_end", "_awaits_turn", "ending", "now", "turn")

    def __init__(self) -> None:
        self.now = 0.0
        self.turn = 0
        self._awaits_turn = self.ending = False
        self._at_end: list[Callable[[], None]] = []

    def at_end(self, call: Callable[[], None]) -> None:
        """Call it once at the end of this turn."""
        self._at_end.append(call)
        if not self._awaits_turn:
            self.this_turn()

    def this_turn(self) -> int:
        """The number of this turn of the loop; the next turn has another one."""
        if not self._awaits_turn:
            self._awaits_turn = True
            asyncio.get_running_loop().call_soon(self._next_turn)
        return self.turn

    def _next_turn(self) -> None:
        self.ending = True
        while self._at_end:
            calls, self._at_end = self._at_end, []
            for call in calls:
                try:
                    call()
                except Exception:
                    log.exception("fault at the end of a turn")
        self._awaits_turn = self.ending = False
        self.turn += 1
