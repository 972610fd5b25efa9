"""One upstream connection: strict about where an answer ends, because the next reader may be another customer."""

import asyncio
import select
import socket
import struct
from typing import TYPE_CHECKING, Final, cast

from gateway.bounded_reads import READ_BYTES, BoundedReads, room
from gateway.ends import FailureKind, UpstreamRequest
from gateway.upstream.answer_head import BrokenAnswer, ParsedHead
from gateway.upstream.chunks import ChunkedBody
from gateway.upstream.exchange import AWAITING_HEAD, IN_BODY, TUNNEL, Exchange
from gateway.upstream.head_memory import learn
from gateway.upstream.partial_head import HEAD_END, join_head
from gateway.upstream.tunnel import Tunnel
from gateway.upstream.websocket import why_not_upgraded

if TYPE_CHECKING:
    from gateway.upstream.origin import Origin

WRITE_HIGH_WATER = 65_536
_NEVER: Final = -1
_IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"))
# What of the answer is being read; nothing of it has come yet while it is _FRESH.
_FRESH: Final = 0
_HEAD: Final = 1
_LENGTH: Final = 2
_CHUNKED: Final = 3
_UNTIL_CLOSE: Final = 4
_TUNNEL: Final = 5


class Connection(BoundedReads):
    """Serves one exchange at a time; goes back to its origin only if provably clean, otherwise it is closed."""

    __slots__ = (
        "_abandoned", "_chunks", "_clock", "_drained_in", "_filled", "_heads", "_interims", "_left", "_origin",
        "_partial", "_persistent", "_poll", "_reading", "_state", "_tunnel", "exchange", "idle_seconds", "idle_since",
        "lost", "served", "transport", "writing_paused",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(self, origin: "Origin") -> None:
        self._origin = origin
        self._heads = origin.heads
        self._clock = origin.clock
        self._poll = select.poll()
        # Whether the last read left no room, so that more may have come already.
        self._filled = False
        self._partial = bytearray()
        # Transports of the standard library can't tell over TLS.
        self._reading = True
        self._state = _FRESH
        self._interims = 0
        self._left = 0
        self._persistent = False
        self._chunks: ChunkedBody | None = None
        self._tunnel: Tunnel | None = None
        self.exchange: Exchange | None = None
        self.served = 0
        self.idle_seconds = 0
        self.idle_since = 0.0
        self._drained_in = _NEVER
        self.lost = False
        self._abandoned = False
        self.writing_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected (and over TLS, verified)."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        self._poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLPRI)
        self._origin.made(self)
        if self._abandoned:
            self.abandon()

    def abandon(self) -> None:
        """Nobody waits for this connection any more, whether it is made already or will be in a moment.

        uvloop calls no `connection_lost` for a connection whose opening was cancelled.
        """
        self._abandoned = True
        if hasattr(self, "transport"):
            self.discard()
            self._origin.lost(self)

    def begin(self, exchange: Exchange) -> None:
        """Send this exchange's request."""
        self.exchange = exchange
        self.served += 1
        self._state = _FRESH
        self._interims = 0
        exchange.connection = self
        exchange.phase = AWAITING_HEAD
        exchange.since = self._clock.now
        if exchange.request.body == 0 and not exchange.paused:
            self.transport.write(exchange.head)
        else:
            exchange.send_on(self)

    def may_take(self, request: UpstreamRequest) -> bool:
        """Whether nothing, no byte and no end, has come in since the last answer, in the system's buffer either.

        The read that ended the answer looked there, and by a turn's end the loop has handed out all that it found: then only
        what could not be sent a second time is worth another look.
        """
        if self.transport.is_closing() or self._origin.is_distrusted():
            return False
        seen = self._drained_in == self._clock.turn or (self._clock.ending and self._drained_in != _NEVER)
        if seen and request.body == 0 and request.method in _IDEMPOTENT:
            return True
        return not self._poll.poll(0)

    def may_idle(self, seconds: float) -> float:
        """How long to keep it unused, at most so long: one second less than the upstream does, so that no request
        crosses its FIN.
        """
        return min(seconds, self.idle_seconds - 1.0) if self.idle_seconds else seconds

    def discard(self) -> None:
        """Close hard. What was not sent never will be.

        With a body under way also the system's send buffer is dropped, by a reset: an upstream that does not read
        would else learn of the end only behind megabytes of a request that nobody wants any more.
        """
        exchange, self.exchange = self.exchange, None
        if exchange is not None and exchange.request.body != 0 and not self.transport.is_closing():
            raw = self.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def pause_reading(self) -> None:
        """Stop reading; harmless if it is stopped or closed."""
        if self._reading and not self.transport.is_closing():
            self._reading = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on; harmless if it does or is closed."""
        if not self._reading and not self.transport.is_closing():
            self._reading = True
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        """The upstream is slower than the client."""
        self.writing_paused = True
        if self._tunnel is not None:
            self._tunnel.writing(paused=True)
        elif self.exchange is not None:
            self.exchange.hold_back()

    def resume_writing(self) -> None:
        """It takes bytes again."""
        self.writing_paused = False
        if self._tunnel is not None:
            self._tunnel.writing(paused=False)
        elif self.exchange is not None:
            self.exchange.let_go()

    def buffer_updated(self, nbytes: int) -> None:
        """The loop has read. A whole answer with a head that was seen before takes the short way, all else the long one.

        Both say the same of the same bytes. The short way is for requests of which no byte is left to send.
        """
        data = room[:nbytes]
        exchange = self.exchange
        if self._state == _FRESH and exchange is not None and exchange.finished and not exchange.paused:
            raw, whole, body = data.partition(HEAD_END)
            head = self._heads.get(raw) if whole else None
            if (
                head is not None
                and head.follows == len(body)
                and nbytes < READ_BYTES
                and exchange.request.method != b"HEAD"
                and not self.transport.get_write_buffer_size()
            ):
                self._take_whole(exchange, head, body)
                return
        self.data_received(data)

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer, of a tunnel, or of an upstream that speaks without being asked."""
        exchange = self.exchange
        if exchange is None:
            self._origin.spoke_unasked(self)
            return
        self._filled = len(data) >= READ_BYTES
        try:
            if self._state <= _HEAD:
                self._read_heads(exchange, data)
            else:
                exchange.since = self._clock.now
                self._read_body(exchange, data)
        except BrokenAnswer as broken:
            self.fail("broken", str(broken))

    def eof_received(self) -> None:
        """The upstream has no more to say: the end of a body without a length, the loss of anything else."""
        exchange = self.exchange
        if self._state == _UNTIL_CLOSE and exchange is not None:
            self._complete(exchange, extra=True)
        elif self._tunnel is None:
            self._lose("upstream closed the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed, by whomever."""
        self.lost = True
        self._lose(f"connection lost: {exc}" if exc else "upstream closed the connection")
        self._origin.lost(self)

    def fail(self, kind: FailureKind, internal: str) -> None:
        """Close hard and tell the exchange."""
        exchange = self.exchange
        if self._tunnel is not None:
            self._tunnel.lost()
            self.discard()
        elif exchange is not None:
            sent = not exchange.nothing_left()
            self.discard()
            exchange.fail(kind, internal, sent=sent)

    def _lose(self, internal: str) -> None:
        exchange = self.exchange
        if self._tunnel is not None:
            self._tunnel.lost()
            self.exchange = None
        elif exchange is not None:
            if self._may_send_again(exchange):
                self.discard()
                self._origin.send_again(exchange)
            else:
                self.fail("closed", internal)

    def _may_send_again(self, exchange: Exchange) -> bool:
        """Nothing was sent, or sending it twice is the same as once; and only if the connection may just have aged."""
        if self.served < 2 or self._state != _FRESH or exchange.retried or exchange.bytes_out:
            return False
        return exchange.nothing_left() or (exchange.request.body == 0 and exchange.request.method in _IDEMPOTENT)

    def _read_heads(self, exchange: Exchange, data: bytes) -> None:
        if self._state == _FRESH:
            if exchange.nothing_left():
                # It can't be the answer to what is still in our buffer.
                self._lose("bytes before the request was sent")
                return
            self._state = _HEAD
        limit = self._origin.settings.max_header_bytes
        while True:
            if self._partial:
                joined = join_head(self._partial, data, limit)
                if joined is None:
                    return
                data = joined
            end = data.find(HEAD_END)
            if end < 0:
                join_head(self._partial, data, limit)
                return
            if end > limit:
                raise BrokenAnswer("head too large")
            raw = data[:end]
            head = self._heads.get(raw) or learn(self._heads, raw)
            data = data[end + 4 :]
            if head.status >= 200:
                self._take_final_head(exchange, head, data)
                return
            self._take_interim(exchange, head, data)
            if not data or self.exchange is not exchange or self._state != _HEAD:
                return

    def _take_interim(self, exchange: Exchange, head: ParsedHead, rest: bytes) -> None:
        if head.status == 101:
            self._upgrade(exchange, head, rest)
            return
        self._interims += 1
        if self._interims > self._origin.settings.max_interim_answers:
            raise BrokenAnswer("too many interim answers")
        if head.chunked or head.length:
            raise BrokenAnswer("interim answer with a body")
        if head.status == 100:
            exchange.reply.reply_continue()
        else:
            exchange.reply.reply_interim(head.status, head.headers)

    def _upgrade(self, exchange: Exchange, head: ParsedHead, rest: bytes) -> None:
        wrong = why_not_upgraded(exchange.request, head)
        if wrong:
            raise BrokenAnswer(wrong)
        self._state = _TUNNEL
        self._tunnel = Tunnel(self, exchange, rest)
        exchange.phase = TUNNEL
        exchange.bytes_in += len(rest)
        self.pause_reading()
        exchange.reply.reply_tunnel(head.headers, self._tunnel)

    def _take_whole(self, exchange: Exchange, head: ParsedHead, body: bytes) -> None:
        """The answer, all of it and nothing behind it. Only what is clean beyond doubt is used again."""
        clean = (
            head.persistent
            and exchange.finished
            and (exchange.request.body == 0 or not self.transport.get_write_buffer_size())
        )
        paused = exchange.paused
        self.exchange = None
        self.idle_seconds = head.idle_seconds
        exchange.bytes_in = len(body)
        exchange.end()
        self._part(clean=clean, resume=paused)
        exchange.reply.reply_whole(head, body)

    def _part(self, *, clean: bool, resume: bool) -> None:
        """The exchange has gone: keep the connection, if it is clean as far as can be seen from here."""
        if not clean:
            self.discard()
            return
        if resume:
            self.resume_reading()
        self._drained_in = self._clock.this_turn()
        if self._filled:
            self._filled = False
            # What TLS has read, but not passed on for want of room, no look at the socket would show.
            if self._origin.target.scheme == "https":
                self.discard()
                return
            self._drained_in = _NEVER
        self._origin.release(self)

    def _take_final_head(self, exchange: Exchange, head: ParsedHead, rest: bytes) -> None:
        status, length = head.status, head.length
        if head.follows == len(rest) and exchange.request.method != b"HEAD" and not self._interims:
            self._take_whole(exchange, head, rest)
            return
        self._persistent = head.persistent
        self.idle_seconds = head.idle_seconds
        bodiless = status == 204 or status == 304 or exchange.request.method == b"HEAD"  # noqa: PLR1714 - faster
        if bodiless:
            self._state = _LENGTH
            # A 204 never has a body, so one that announces one can't be trusted to send none.
            if status == 204 and (head.chunked or length):
                self._persistent = False
        elif head.chunked:
            self._state = _CHUNKED
            self._chunks = ChunkedBody(self._origin.settings.max_header_bytes, exchange.reply.reply_trailer)
        elif length is not None:
            self._state = _LENGTH
            self._left = length
        else:
            self._state = _UNTIL_CLOSE
        exchange.phase = IN_BODY
        exchange.since = self._clock.now
        # An upstream that says no doesn't read the rest of the upload; one that says yes may answer while it reads.
        exchange.dropping = status >= 300 and not exchange.finished
        exchange.reply.reply_head(status, head.headers, length)
        if self.exchange is not exchange:
            return
        if bodiless or length == 0:
            self._complete(exchange, extra=bool(rest))
        elif rest:
            self._read_body(exchange, rest)

    def _read_body(self, exchange: Exchange, data: bytes) -> None:
        state = self._state
        whole = extra = False
        if state == _LENGTH:
            self._left -= len(data)
            whole = self._left <= 0
            if self._left < 0:
                extra = True
                data = data[: self._left]
        elif state == _CHUNKED:
            chunks = self._chunks
            assert chunks is not None
            data = chunks.feed(data)
            whole, extra = chunks.whole, chunks.extra
        elif state == _TUNNEL:
            assert self._tunnel is not None
            self._tunnel.received(data)
            return
        if data:
            exchange.bytes_in += len(data)
            exchange.reply.reply_data(data)
        if whole and self.exchange is exchange:
            self._complete(exchange, extra=extra)

    def _complete(self, exchange: Exchange, *, extra: bool) -> None:
        """The answer is whole. Only what is clean beyond doubt is used again."""
        clean = (
            self._persistent
            and not extra
            and exchange.finished
            and not exchange.dropping
            and (exchange.request.body == 0 or not self.transport.get_write_buffer_size())
        )
        paused = exchange.paused
        self.exchange = None
        self._chunks = None
        exchange.end()
        self._part(clean=clean, resume=paused)
        exchange.reply.reply_end()
