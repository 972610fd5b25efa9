"""An answer that is paid by how much of it was delivered: what goes to its client is counted in passing."""

from typing import TYPE_CHECKING

from domain.deliveries import Delivery, EventCount
from gateway.ends import Headers

if TYPE_CHECKING:
    from gateway.exchange import Exchange

_IDENTITY = b"identity"


class Meter:
    """The exchange's `Sink` where an operation's cost hangs on the answer; the door is behind it.

    So an exchange that is not metered has not one branch more. Bytes the exchange counts by itself; events are counted
    where the upstream says that its answer is a plain stream of them.
    """

    def __init__(self, exchange: "Exchange", delivery: Delivery) -> None:
        door = exchange.sink
        self._door, self._delivery = door, delivery
        self._events: EventCount | None = None
        self.interim, self.head, self.tunnel = door.interim, door.head, door.tunnel
        self.end, self.abort = door.end, door.abort
        self.want_body, self.pause_body, self.resume_body = door.want_body, door.pause_body, door.resume_body
        exchange.sink = self

    def heed(self, headers: Headers) -> None:
        """The upstream's fields, before anything is delivered."""
        types = [value for name, value in headers if name == b"content-type"]
        codings = [value for name, value in headers if name == b"content-encoding"]
        plain = all(coding.strip().lower() == _IDENTITY for coding in codings)
        if plain and len(types) == 1 and types[0].partition(b";")[0].strip().lower() == b"text/event-stream":
            self._events = EventCount()

    def cost(self, sent: int) -> int | None:
        """Micro-credits of so many bytes and the events in them; None where these can't be counted."""
        return self._delivery.cost(sent, None if self._events is None else self._events.number)

    def takes_whole(self) -> bool:
        """What comes whole is counted as any."""
        return False

    def whole(self, answer: bytes) -> None:
        """Never called."""
        raise NotImplementedError

    def data(self, chunk: bytes) -> None:
        """Count and pass on."""
        if self._events is not None:
            self._events.feed(chunk)
        self._door.data(chunk)
