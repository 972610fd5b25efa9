"""What an ASGI application may do with the client's connection beyond ASGI.

It finds this object as `scope["extensions"]["paid_endpoint"]`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.ends import Headers, UpstreamTunnel
from gateway.server.guard import RequestHead

if TYPE_CHECKING:
    from gateway.server.cycle import Cycle


class ClientConnection:
    """The client's side of one request. All methods are synchronous and harmless once the request is over."""

    __slots__ = ("_cycle", "_head", "on_gone")

    def __init__(self, cycle: "Cycle", head: RequestHead) -> None:
        self._cycle, self._head = cycle, head
        self.on_gone: Callable[[], None] | None = None
        """Called once if the client leaves before its answer is whole; saves waiting for `http.disconnect`."""

    @property
    def gone(self) -> bool:
        """Whether the client has left already; then `on_gone` is not called any more."""
        return self._cycle.is_gone

    @property
    def draining(self) -> bool:
        """Whether this worker is about to stop; answers say `Connection: close` by themselves then."""
        return self._cycle.connection.state.draining

    @property
    def cutting(self) -> bool:
        """Whether connections end now because this worker's time is up."""
        return self._cycle.connection.state.cutting

    @property
    def request_body_length(self) -> int | None:
        """Announced length: 0 without a body, None when chunked."""
        return self._head.body

    @property
    def http_version(self) -> str:
        """`1.0` or `1.1`."""
        return self._head.version

    @property
    def target(self) -> bytes:
        """The request target as it was sent; with it `?` and an empty query can be told from no query."""
        return self._head.target

    @property
    def expect_continue(self) -> bool:
        """The client waits for 100 Continue; it is sent when the body is first asked for."""
        return self._head.expect_continue

    @property
    def upgrade(self) -> bytes:
        """`websocket` if the request is a well-formed upgrade to it, else empty."""
        return self._head.upgrade

    def interim(self, status: int, headers: Headers) -> None:
        """Send a 1xx answer other than 101. Dropped for HTTP/1.0 clients and behind the final head."""
        self._cycle.answer.interim(status, headers)

    def abort(self) -> None:
        """Cut the answer visibly: what was written is still sent, the end is not."""
        self._cycle.answer.abort()

    def pause_body(self) -> None:
        """Stop reading the request body from the client."""
        self._cycle.connection.pause_body()

    def resume_body(self) -> None:
        """Read on."""
        self._cycle.connection.resume_body()

    def tunnel(self, head: bytes, upstream: UpstreamTunnel) -> bool:
        """Write `head` (a whole 101 answer) and pass bytes both ways from then on.

        False, and nothing done, if the request is no upgrade or the client is gone. The application returns then
        without sending anything.
        """
        return self._cycle.connection.begin_tunnel(head, upstream)
