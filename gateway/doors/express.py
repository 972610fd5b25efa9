"""The express door: an exchange right on the client's connection, without ASGI and, but for a cold key, without a task.

What the connection reads goes to the exchange, what the exchange answers goes to the transport, in the same call.
"""

import asyncio
import logging

from domain.refusals import InternalFault
from gateway.admissions import Mark
from gateway.ends import ClientRequest, Headers, UpstreamTunnel
from gateway.exchange import Exchange
from gateway.own_paths import is_own
from gateway.server.answer import Answer
from gateway.server.express_protocol import ExpressProtocol
from gateway.server.guard import RequestHead
from gateway.server.refusing import answer_refusal
from gateway.services import Services

log = logging.getLogger("paid_endpoint.gateway")

HIGH_WATER = 65_536
"""Body bytes that are held until the exchange wants them."""


class ExpressDoor:
    """Serves what is proxied; the application's lifespan sets `services` before the first request."""

    services: Services

    def __init__(self) -> None:
        self._known: list[ExpressRequest] = []

    def takes(self, target: bytes) -> bool:
        """All but our own routes."""
        return not is_own(target.partition(b"?")[0])

    def admit(self, connection: ExpressProtocol, head: RequestHead, mark: Mark | None) -> "ExpressRequest":
        """One request on `connection`; a `mark` stands for all of its head and who sent it."""
        request = ExpressRequest(connection, request_of(connection, head, mark), self.services)
        if head.method == b"HEAD":
            request.head_only = True
        return request

    def known(
        self, connection: ExpressProtocol, line: bytes, fields: bytes, fields_mark: bytes
    ) -> "ExpressRequest | None":
        """A request whose line and fields are remembered: the guard and the free policies would let it through.

        It starts at the end of this turn of the event loop, beside the others that were read in it (see
        `gateway.whole_answers` for why).
        """
        services = self.services
        found = services.admissions.find(line, fields, fields_mark)
        if found is None:
            return None
        request = ExpressRequest(connection, None, services)
        exchange = request.exchange
        exchange.line, exchange.admission = found
        known = self._known
        known.append(request)
        if len(known) == 1:
            services.upstreams.clock.at_end(self._start_known)
        return request

    def _start_known(self) -> None:
        known, self._known = self._known, []
        for request in known:
            if not request.left:
                request.start()


def request_of(connection: ExpressProtocol, head: RequestHead, mark: Mark | None) -> ClientRequest:
    """The request as the exchange sees it."""
    path, sign, query = head.target.partition(b"?")
    peer, port = connection.client or ("", 0)
    return ClientRequest(
        head.method, path, query, bool(sign), "1.0" if head.version == "1.0" else "1.1", head.headers, head.body,
        peer, port, connection.scheme, head.upgrade, mark,
    )  # fmt: skip


class ExpressRequest:
    """The client's side of one exchange; the exchange's `Sink`, and `Served` to its connection.

    What an ordinary request never changes stands in the class, so that it costs nothing.
    """

    head_only = tunneled = False
    left = _started = False
    """`left`: the client went before the exchange began, which then never does."""
    _answer: Answer | None = None
    _body_wanted = _whole = False
    _held: tuple[bytes, ...] = ()
    _full = 0

    def __init__(self, connection: ExpressProtocol, request: ClientRequest | None, services: Services) -> None:
        self._connection = connection
        self.exchange = Exchange(request, self, services)

    # -- from the connection

    @property
    def answer(self) -> Answer:
        """Frames what is not written whole."""
        made = self._answer
        if made is None:
            http10 = self.exchange.request.version == "1.0"
            made = self._answer = Answer(self._connection, head_only=self.head_only, http10=http10)
        return made

    def start(self) -> None:
        """Decide and forward; where deciding must wait, in a task."""
        self._started = True
        pending = self.exchange.begin()
        if pending is not None:
            task = asyncio.ensure_future(pending)
            tasks = self._connection.state.tasks
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    def body(self, data: bytes) -> None:
        """Straight on, or held until the exchange wants it."""
        if self._body_wanted:
            self.exchange.body(data)
            return
        self._held = (*self._held, data)
        self._full += len(data)
        if self._full > HIGH_WATER:
            self._connection.hold_body()

    def body_end(self) -> None:
        """The body is whole."""
        self._whole = True
        if self._body_wanted:
            self.exchange.body_end()

    def gone(self) -> None:
        """The client left. A tunnel's exchange ends with the tunnel."""
        self.answer.done = True
        if not self._started:
            self.left = True
        elif not self.tunneled:
            self.exchange.client_gone(cut=self._connection.state.cutting)

    def finished(self) -> None:
        """Nobody waits here."""

    def choked(self) -> None:
        """The client is slower than the upstream."""
        self.exchange.pause_upstream()

    def writable(self) -> None:
        """It caught up."""
        self.exchange.resume_upstream()

    # -- Sink

    def interim(self, status: int, headers: Headers) -> None:
        """103 and the like."""
        self.answer.interim(status, headers)

    def head(self, status: int, headers: Headers, length: int | None) -> None:
        """The final head; one that must not be written becomes a 500, and the exchange is given up."""
        try:
            self.answer.begin(status, headers, length)
        except ValueError:
            request_id = str(self.exchange.request_id)
            log.exception("the answer of exchange %s can't be written", request_id)
            answer_refusal(InternalFault(), self.answer, self._connection.state.date, request_id=request_id)
            self.exchange.client_gone(cut=True)
        else:
            if self._connection.write_paused:
                self.exchange.pause_upstream()

    def takes_whole(self) -> bool:
        """While nothing was written yet."""
        return self._answer is None and self._connection.takes_whole() and not self.head_only

    def whole(self, answer: bytes) -> None:
        """One write, and the connection goes on. Nobody calls this request any more: the circle is opened, so that
        no collector has to find it.
        """
        del self.exchange
        self._connection.answer_whole(answer)

    def data(self, chunk: bytes) -> None:
        """Body bytes."""
        self.answer.data(chunk)

    def end(self) -> None:
        """The answer is whole."""
        self.answer.end()

    def abort(self) -> None:
        """What was written goes out, the end does not."""
        self.answer.abort()

    def want_body(self) -> None:
        """Give what is held, then let the rest flow."""
        self._body_wanted = True
        exchange, connection = self.exchange, self._connection
        if self._held:
            held, self._held = b"".join(self._held), ()
            exchange.body(held)
            connection.release_body()
        if self._whole:
            exchange.body_end()
        else:
            connection.want_body()

    def pause_body(self) -> None:
        """The upstream is slower than the client."""
        self._connection.pause_body()

    def resume_body(self) -> None:
        """Read on."""
        self._connection.resume_body()

    def tunnel(self, head: bytes, upstream: UpstreamTunnel) -> bool:
        """From here on bytes pass both ways."""
        return self._connection.begin_tunnel(head, upstream)
