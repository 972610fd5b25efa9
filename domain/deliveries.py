"""What an answer costs by how much of it was delivered, and how its events are counted.

An event is what a browser would hand on by the rules of Server-Sent Events: lines with at least one `data` among them, up
to and with the empty line that ends them. Comments and heartbeats are none, nor is one that was cut before its end.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from domain.credit_amounts import MICRO

_PREFIX_BYTES = 8
"""So much of a line tells whether it is one of data, a mark of byte order before it included."""
_MARK = b"\xef\xbb\xbf"


class Late(NamedTuple):
    """A field of the answer: where its number goes, whether it counts bytes or events, and what events are where there
    is no stream of them; None: the price.
    """

    place: int
    events: bool
    default: int | None


class Delivery:
    """One request's terms. `value` gives micro-credits of the fields' numbers in millionths; those of `late` are open."""

    __slots__ = ("_cap", "_late", "_numbers", "_value")

    def __init__(
        self, cap: int, value: Callable[[list[int]], int], numbers: Sequence[int], late: Sequence[Late]
    ) -> None:
        self._cap, self._value, self._numbers, self._late = cap, value, tuple(numbers), tuple(late)

    def cost(self, sent: int, events: int | None) -> int | None:
        """Micro-credits from 0 to the cap of `sent` bytes and so many events; None where it hangs on events that can't
        be counted. Where nothing was sent there were none.
        """
        if not sent:
            events = 0
        numbers = list(self._numbers)
        for place, counts_events, default in self._late:
            number = sent
            if counts_events:
                known = default if events is None else events
                if known is None:
                    return None
                number = known
            numbers[place] = number * MICRO
        return max(0, min(self._value(numbers), self._cap))


class EventCount:
    """Counts the events of one stream in passing; holds a few bytes, however long its lines are."""

    __slots__ = ("_after_cr", "_begun", "_has_data", "_line", "number")

    def __init__(self) -> None:
        self._line = b""
        self._has_data = self._after_cr = self._begun = False
        self.number = 0

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the stream, cut anywhere."""
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if not chunk:
            return
        self._after_cr = chunk.endswith(b"\r")
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = chunk.split(b"\n")
        lines[0] = self._line + lines[0]
        self._line = lines.pop()[:_PREFIX_BYTES]
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        if not self._begun:
            self._begun, line = True, line.removeprefix(_MARK)
        if not line:
            self.number += self._has_data
            self._has_data = False
        elif line.startswith(b"data") and (len(line) == 4 or line.startswith(b"data:")):
            self._has_data = True
