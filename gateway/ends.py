"""The small interfaces between a client's side, an exchange, and an upstream's side.

A *door* (the plain ASGI door, the express door) makes one `Exchange` per request and is its `Sink`. The exchange is
the `Reply` of one upstream connection. All calls are synchronous, made on the worker's event loop, and must not
block; back-pressure is `pause`/`resume` in both directions. Nothing here buffers more than one chunk on purpose.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from gateway.admissions import Mark

Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class ClientRequest:
    """One request as the client sent it, framing already checked.

    `target_path` is the raw path bytes (no query), `query` the raw bytes behind `?` (empty without, see `has_query`).
    `headers` have lower-case names in wire order. `body` is the announced length, None for chunked, 0 for no body.
    `peer` is the address of the connection, not of any forwarded header. `mark` is for `gateway.admissions`, which may
    remember what is decided of this request; None: not at all.
    """

    method: bytes
    target_path: bytes
    query: bytes
    has_query: bool
    version: Literal["1.0", "1.1"]
    headers: Headers
    body: int | None
    peer: str
    peer_port: int
    scheme: str
    upgrade: bytes = b""
    mark: "Mark | None" = None


class Sink(Protocol):
    """Where an exchange's answer goes: the client's side of a door."""

    def interim(self, status: int, headers: Headers) -> None:
        """Send a 1xx answer (not 100: the door sends that itself when the body is asked for). May be dropped."""

    def head(self, status: int, headers: Headers, length: int | None) -> None:
        """Send the final head, once. `length` is the body's exact length, None when only the end will tell.

        `headers` hold no framing fields: the door frames the body, and leaves it out for HEAD, 204 and 304.
        """

    def takes_whole(self) -> bool:
        """Whether this answer may go out by `whole`: by HTTP/1.1, with a body, with another request to follow it."""

    def whole(self, answer: bytes) -> None:
        """Stands for `head`, `data` and `end`: send an answer whose bytes are complete."""

    def data(self, chunk: bytes) -> None:
        """Send body bytes. The door calls `exchange.pause_upstream()` when the client is slower."""

    def end(self) -> None:
        """The answer is whole."""

    def abort(self) -> None:
        """The answer can't be finished: make that visible to the client (no last chunk, or a short body)."""

    def want_body(self) -> None:
        """Let the request body flow to `exchange.body(...)`; sends 100 Continue if the client waits for it."""

    def pause_body(self) -> None:
        """Stop reading the request body: the upstream is slower than the client."""

    def resume_body(self) -> None:
        """Read on."""

    def tunnel(self, head: bytes, upstream: "UpstreamTunnel") -> bool:
        """Write `head` (a whole 101 answer) and from then on pass bytes both ways. False if the door can't."""


class UpstreamTunnel(Protocol):
    """The upstream's side of a tunnel after a 101."""

    def attach(self, client: "TunnelEnd") -> None:
        """From now on upstream bytes go to `client`; bytes that came behind the 101 head go first."""

    def write(self, data: bytes) -> None:
        """Pass client bytes on."""

    def write_eof(self) -> None:
        """The client has no more to say."""

    def pause(self) -> None:
        """Stop reading from the upstream."""

    def resume(self) -> None:
        """Read on."""

    def close(self) -> None:
        """End the tunnel now."""


class TunnelEnd(Protocol):
    """The client's side of a tunnel."""

    def tunnel_data(self, data: bytes) -> None:
        """Bytes of the upstream for the client."""

    def tunnel_eof(self) -> None:
        """The upstream closed."""

    def tunnel_pause(self) -> None:
        """The upstream does not take more bytes now."""

    def tunnel_resume(self) -> None:
        """The upstream takes bytes again."""


@dataclass(slots=True)
class UpstreamRequest:
    """What is written to an upstream: `headers` are complete except framing, which the connection writes from `body`.

    `head`, where it is given, is the whole head with its framing and its empty line, made of parts that were checked
    before: it is written as it is, and `headers` and `target` are not looked at.
    """

    method: bytes
    target: bytes
    headers: Headers
    body: int | None = 0
    upgrade: bytes = b""
    head: bytes = b""


@dataclass(slots=True)
class AnswerHead:
    """An upstream's final head. The same object comes again for the same bytes, so that what is made of it may be kept.

    `length` is the body's exact length, None if only the end will tell. `kept` belongs to the exchange: whatever it
    derived from these fields the last time.
    """

    status: int
    headers: Headers
    length: int | None
    kept: Any = None


FailureKind = Literal[
    "connect",
    "connect_timeout",
    "first_byte_timeout",
    "idle_timeout",
    "total_timeout",
    "broken",
    "closed",
    "overloaded",
]


@dataclass(slots=True)
class UpstreamFailure:
    """Why an upstream exchange failed. `sent` is False only if not one byte of the request can have been processed."""

    kind: FailureKind
    sent: bool
    internal: str = ""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds; 0 is none. `first_byte` runs from the end of the request to the final head, `idle` between bytes."""

    connect: float
    first_byte: float
    idle: float
    total: float


class Reply(Protocol):
    """What an upstream connection tells the exchange. Exactly one of `reply_end`/`reply_failed` comes last, once."""

    def reply_interim(self, status: int, headers: Headers) -> None:
        """A 1xx other than 100 and 101."""

    def reply_continue(self) -> None:
        """A 100: the upstream wants the body."""

    def reply_head(self, status: int, headers: Headers, length: int | None) -> None:
        """The final head: names lower-case, order and duplicates kept; `length` None if chunked or until close."""

    def reply_whole(self, head: AnswerHead, body: bytes) -> None:
        """A whole answer that came in one piece: stands for `reply_head`, `reply_data` and `reply_end`."""

    def reply_data(self, chunk: bytes) -> None:
        """Body bytes, de-chunked, undecoded."""

    def reply_trailer(self, name: bytes, value: bytes) -> None:
        """A field behind a chunked body, its name in lower case; it goes to no client. The answer may still fail."""

    def reply_end(self) -> None:
        """The answer is whole."""

    def reply_failed(self, failure: UpstreamFailure) -> None:
        """No (whole) answer will come."""

    def reply_tunnel(self, headers: Headers, tunnel: UpstreamTunnel) -> None:
        """A valid 101 to a request that asked for it. Nothing else is called after this."""

    def upstream_pause(self) -> None:
        """The upstream takes no more request body now."""

    def upstream_resume(self) -> None:
        """It does again."""


class UpstreamExchange(Protocol):
    """One request in progress on an upstream connection; what `UpstreamPool.send` returns, at once.

    `UpstreamPool.send(origin, request, reply, deadlines, max_connections) -> UpstreamExchange` finds or opens a
    connection; body bytes written before it is connected are held (a chunk) behind `upstream_pause`.
    A request that failed on a reused connection before any byte of an answer, with no body byte taken, is sent once
    more on a fresh connection only if nothing was sent, or the method is idempotent and its body empty.
    """

    bytes_out: int
    bytes_in: int

    def write(self, chunk: bytes) -> None:
        """Request body bytes."""

    def finish(self) -> None:
        """The request body is whole."""

    def pause(self) -> None:
        """Stop reading the answer: the client is slower."""

    def resume(self) -> None:
        """Read on."""

    def abort(self) -> None:
        """Give the exchange up: the connection is closed, the upstream never sees the request's end, and no more
        `reply_*` call is made.
        """
