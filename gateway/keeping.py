"""The first request under an Idempotency-Key: what it asks is fingerprinted, what comes of it is kept, both in passing.

`Keeping` stands between the exchange and its door. The answer's last byte goes out behind its record in the journal, as
any, and behind the outcome in the database; where that does not come about in a second, the answer goes all the same and
the outcome follows. The client may leave: who repeats the request wants it done once, so it goes on to its end without him,
within KEPT_ALONE_SECONDS and what is kept of an answer, and is charged by what the upstream says.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from domain.charging import is_charged
from domain.replays import Outcome, is_final
from gateway import answers
from gateway.ends import Headers, Sink, UpstreamExchange, UpstreamTunnel
from gateway.server.answer import BODILESS

if TYPE_CHECKING:
    import hashlib

    from gateway.exchange import Exchange

KEPT_ALONE_SECONDS = 60.0


class Keeping:
    """The exchange's `Sink` once it has claimed its key. `left`: its client is gone, and it goes on alone."""

    def __init__(self, exchange: "Exchange", seen: "hashlib._Hash") -> None:
        """`seen` is the fingerprint up to the body."""
        self._exchange, self._seen = exchange, seen
        self._before_body = seen.digest()
        self._door: Sink = exchange.sink
        self._most = exchange.services.settings.gateway.replay_max_bytes
        self._fields: Headers = []
        self._pieces: list[bytes] = []
        self._size = 0
        self._length: int | None = None
        self._held: list[Callable[[], None]] = []
        self._alone: asyncio.TimerHandle | None = None
        self.left = self._given_up = False
        self.read_whole = exchange.request.body == 0
        exchange.sink = self

    # -- the request

    def want_body(self) -> None:
        """Let it flow, past us."""
        upstream = self._exchange.upstream
        assert upstream is not None
        self._exchange.upstream = _Fingerprinting(upstream, self, self._seen)
        self._door.want_body()

    def pause_body(self) -> None:
        """The upstream is slower."""
        self._door.pause_body()

    def resume_body(self) -> None:
        """It is no more."""
        self._door.resume_body()

    # -- the answer

    def interim(self, status: int, headers: Headers) -> None:
        """Pass on; not kept."""
        if not self.left:
            self._door.interim(status, headers)

    def head(self, status: int, headers: Headers, length: int | None) -> None:
        """Pass on; of an upstream's answer its own fields are kept."""
        if self._exchange.first_byte_ns:
            self._fields = headers[: len(headers) - len(answers.ours(self._exchange))]
        self._length = 0 if status in BODILESS else length
        self._send(partial(self._door.head, status, headers, length))

    def takes_whole(self) -> bool:
        """What comes whole goes through here in parts."""
        return False

    def whole(self, answer: bytes) -> None:
        """Never called."""
        raise NotImplementedError

    def data(self, chunk: bytes) -> None:
        """Pass on and keep; what makes an announced length full waits for the end."""
        self._size += len(chunk)
        if self._exchange.first_byte_ns:
            self._keep(chunk)
        self._send(partial(self._door.data, chunk))

    def end(self) -> None:
        """Recorded: keep the outcome, then let the last byte go."""
        self._settle("gone" if self.left else "served", self._send_end, ended=True)

    def abort(self) -> None:
        """Recorded as cut."""
        self._settle("cut", self._door.abort, ended=False)

    def tunnel(self, head: bytes, upstream: UpstreamTunnel) -> bool:
        """A request that asked for one has no `Keeping`."""
        del head, upstream
        return False

    def fingerprint(self) -> bytes:
        """Of the request as far as it was read."""
        return self._seen.digest()

    # -- a client that leaves

    def goes_on(self) -> bool:
        """The client left: whether the exchange goes on alone. Asked again, it says the same until it is given up."""
        exchange = self._exchange
        if self.left or self._given_up:
            return not self._given_up
        if exchange.upstream is None or not self.read_whole or self._size > self._most:
            return False
        self.left = True
        self._alone = asyncio.get_running_loop().call_later(KEPT_ALONE_SECONDS, self.give_up)
        exchange.services.outcomes.alone(self)
        exchange.resume_upstream()
        return True

    def give_up(self, *, cut: bool = False) -> None:
        """No more time for it, or it is too large: it ends as other requests do whose clients leave, or that we `cut`."""
        self._given_up = True
        self._exchange.client_gone(cut=cut)

    def gone(self, *, cut: bool) -> None:
        """Recorded as gone or cut."""
        self._settle("cut" if cut else "gone", None, ended=False)

    # -- what is kept

    def _send(self, part: Callable[[], None]) -> None:
        if self.left:
            return
        if self._length is not None and self._size >= self._length:
            self._held.append(part)
        else:
            part()

    def _keep(self, chunk: bytes) -> None:
        if self._size <= self._most:
            self._pieces.append(chunk)
            return
        self._pieces.clear()
        if self.left:
            self.give_up()

    def _settle(self, outcome: str, then: Callable[[], None] | None, *, ended: bool) -> None:
        """`ended`: the answer is whole, whoever is there to take it."""
        exchange = self._exchange
        outcomes = exchange.services.outcomes
        outcomes.over(self)
        if self._alone is not None:
            self._alone.cancel()
        outcomes.settle(exchange.request_id, self._outcome(outcome, ended=ended), None if self.left else then)

    def _outcome(self, outcome: str, *, ended: bool) -> Outcome | None:
        """None where a repeat is to run again."""
        exchange = self._exchange
        arrived = exchange.first_byte_ns > 0
        charged = is_charged(exchange.matched.service.charge_on, outcome, exchange.status, headers_arrived=arrived)
        whole = arrived and ended and self.read_whole
        if not is_final(exchange.status, charged=charged, whole=whole):
            return None
        fingerprint = self._seen.digest() if self.read_whole else self._before_body
        if not whole or self._size > self._most:
            return Outcome(fingerprint, exchange.status)
        return Outcome(fingerprint, exchange.status, self._fields, b"".join(self._pieces))

    def _send_end(self) -> None:
        for send in self._held:
            send()
        self._door.end()


class _Fingerprinting:
    """The upstream's side of an exchange, with the request's body noted on its way."""

    bytes_out = bytes_in = 0

    def __init__(self, upstream: UpstreamExchange, keeping: Keeping, seen: "hashlib._Hash") -> None:
        self._upstream, self._keeping, self._seen = upstream, keeping, seen
        self.pause, self.resume, self.abort = upstream.pause, upstream.resume, upstream.abort

    def write(self, chunk: bytes) -> None:
        """Note and pass on."""
        self._seen.update(chunk)
        self._upstream.write(chunk)

    def finish(self) -> None:
        """The request is whole."""
        self._keeping.read_whole = True
        self._upstream.finish()


def left_alone(sink: Sink) -> bool:
    """Whether the exchange of this sink goes on though its client is gone."""
    return isinstance(sink, Keeping) and sink.left
