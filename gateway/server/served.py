"""What a client's connection and the request in progress on it are to each other, whichever door the request took."""

from typing import TYPE_CHECKING, Protocol

from gateway.server.answer import Answer
from gateway.server.guard import RequestHead

if TYPE_CHECKING:
    from gateway.admissions import Mark
    from gateway.server.express_protocol import ExpressProtocol


class Served(Protocol):
    """One request: an ASGI `Cycle`, or an `ExpressRequest`. All calls are the connection's, on its event loop."""

    tunneled: bool
    """Set by the connection once the request has become a tunnel."""

    @property
    def answer(self) -> Answer:
        """Frames the answer."""

    def start(self) -> None:
        """Begin, once. The answer may be whole when this returns."""

    def body(self, data: bytes) -> None:
        """Body bytes came; the first of them may come before `start`."""

    def body_end(self) -> None:
        """The body is whole."""

    def gone(self) -> None:
        """The client left, or broke its request: nothing that is sent from now on arrives."""

    def finished(self) -> None:
        """The answer is whole."""

    def choked(self) -> None:
        """The client takes no more bytes now."""

    def writable(self) -> None:
        """It does again."""


class Door(Protocol):
    """What serves requests without ASGI."""

    def takes(self, target: bytes) -> bool:
        """Whether a request for this target is served here; else it goes to the ASGI application."""

    def admit(self, connection: "ExpressProtocol", head: RequestHead, mark: "Mark | None") -> Served:
        """The request, not started yet. `mark` stands for exactly these bytes from exactly this peer."""

    def known(self, connection: "ExpressProtocol", line: bytes, fields: bytes, fields_mark: bytes) -> Served | None:
        """The request with this line and, behind it, these fields from this peer, if it need not be read again.

        It has no body and asks for no end.
        """
