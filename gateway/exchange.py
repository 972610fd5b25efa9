"""One request from its head to its record: decide, forward, relay, settle. Knows no server and no socket.

A door makes it and is its `Sink`; it is the `Reply` of one upstream connection. Exactly one answer is begun, exactly
one record is written, whatever order the client, the upstream and the deadlines end in.
"""

import logging
from collections.abc import Awaitable, Sequence
from time import monotonic_ns
from uuid import UUID

from domain.journal.decision import Flag
from domain.quotas.limiter import Bucket, Verdict
from domain.refusals import BodyTooLarge, InternalFault, Refusal
from domain.request_ids import new_raw_id, text_of
from domain.snapshots import KeySnapshot, Match, PlanSnapshot
from gateway import answers, forwarding
from gateway.chain import admit, decide
from gateway.charges import Charge
from gateway.ends import AnswerHead, ClientRequest, Headers, Sink, UpstreamExchange, UpstreamFailure, UpstreamTunnel
from gateway.failures import refusal_of
from gateway.headers import to_client
from gateway.keeping import Keeping, left_alone
from gateway.known_parts import Admission, KnownLine
from gateway.services import Services
from gateway.tunnel import MeteredTunnel

logger = logging.getLogger("paid_endpoint.gateway")


class Exchange:
    """The state of one request. `finished` is True once its record is written; nothing happens after that.

    What an ordinary request never changes stands in the class, so that it costs nothing. Times are monotonic. Of its
    attributes the first 30 cost half of what the others would (a test counts them).
    """

    key: KeySnapshot
    matched: Match
    plan: PlanSnapshot
    line: KnownLine | None = None
    admission: Admission | None = None
    """Both or neither: what the free policies decided for a head that is known, and still would."""
    key_bytes = b""
    bucket: Bucket | None = None
    decided = 0
    """`domain.journal.decision.Flag`s: how it came to the decision."""
    shadowed: tuple[str, ...] = ()
    """Names of the shadow limits that had no room for it."""
    figures: Sequence[int] = ()
    """What the bucket said when the answer was made; empty: ask it."""
    taken_at = 0.0
    """When it took the bucket's permits and slots (monotonic seconds); 0: it has none."""
    verdict: Verdict | None = None
    charge: Charge | None = None
    """Its price and what it comes to, once that is held; free requests have none."""
    upstream: UpstreamExchange | None = None
    trace_id = b""
    """Its trace as the record has it: the id in hexadecimal, and the mark of a request that is sampled."""
    sent_ns = first_byte_ns = 0
    status = bytes_in = bytes_out = 0
    answered = finished = body_complete = False

    def __init__(self, request: ClientRequest | None, sink: Sink, services: Services) -> None:
        """Without a request, `line` and `admission` are set before it begins."""
        self._request, self.sink, self.services = request, sink, services
        self.begun_ns = monotonic_ns()
        self.id = raw = new_raw_id()
        self.request_id_bytes = text_of(raw)
        if request is not None:
            self.address = request.peer

    # -- what policies use

    @property
    def request(self) -> ClientRequest:
        """What the client asked; of a known head it is put together where somebody wants to see it."""
        request = self._request
        if request is None:
            assert self.line is not None
            assert self.admission is not None
            request = self._request = self.admission.request(self.line)
        return request

    @property
    def request_id(self) -> UUID:
        """The id as an object."""
        return UUID(bytes=self.id)

    @property
    def identity(self) -> KeySnapshot | None:
        """The key, once it is known."""
        return getattr(self, "key", None)

    @property
    def route(self) -> Match | None:
        """The match, once there is one."""
        return getattr(self, "matched", None)

    @property
    def taken(self) -> bool:
        """Whether it is admitted by its limits."""
        return self.taken_at > 0.0

    @property
    def overage(self) -> bool:
        """Whether it is paid with credits although its organization pays with quotas, because these are used up."""
        return bool(self.decided & Flag.OVERAGE)

    @property
    def max_body_bytes(self) -> int:
        """The stricter of the gateway's and the service's bound; 0 is none."""
        bounds = (self.services.settings.gateway.max_body_bytes, self.matched.service.max_body_bytes)
        return min((bound for bound in bounds if bound), default=0)

    def answer(self, status: int, fields: Headers, body: bytes) -> None:
        """Answer without an upstream, with these fields and no others."""
        self.answered, self.status = True, status
        self.bytes_out = len(body)
        self.sink.head(status, fields, len(body))
        if body:
            self.sink.data(body)
        self._finish("served")

    # -- what the door calls

    def begin(self) -> Awaitable[None] | None:
        """Decide, then forward. Never raises. Where deciding must wait, the door awaits what is returned."""
        services, line, admission = self.services, self.line, self.admission
        try:
            services.keep_room(self)
            if line is None or admission is None:
                pending = decide(self, services.free, services.counted)
            else:
                fields = admission.fields
                self.matched, self.key, self.plan, self.address = line.matched, fields.key, fields.plan, fields.address
                pending = admit(self, services.counted)
        except Refusal as refusal:
            self.refuse(refusal)
        except Exception as fault:  # noqa: BLE001  boundary: a bug must not take the connection handling down
            self.fail(fault)
        else:
            if pending is not None:
                return self._decide(pending)
            self._forward()
        return None

    async def _decide(self, pending: Awaitable[None]) -> None:
        try:
            await pending
        except Refusal as refusal:
            self.refuse(refusal)
        except Exception as fault:  # noqa: BLE001  boundary, as above
            self.fail(fault)
        else:
            self._forward()

    def body(self, chunk: bytes) -> None:
        """Bytes of the request body."""
        if self.finished or self.upstream is None:
            return
        self.bytes_in += len(chunk)
        most = self.max_body_bytes
        if most and self.bytes_in > most:
            self.refuse(BodyTooLarge(max_bytes=most))
            return
        self.upstream.write(chunk)

    def body_end(self) -> None:
        """The request body is whole."""
        self.body_complete = True
        if not self.finished and self.upstream is not None:
            self.upstream.finish()

    def client_gone(self, *, cut: bool = False) -> None:
        """The client left, or broke its request, or we `cut` it off: the upstream is cancelled at once, but where the
        outcome is kept for a repeat.
        """
        keeping = self.sink if isinstance(self.sink, Keeping) else None
        if self.finished or (keeping is not None and not cut and keeping.goes_on()):
            return
        self._drop_upstream()
        self._finish("cut" if cut else "gone", tell=False)
        if keeping is not None:
            keeping.gone(cut=cut)

    def pause_upstream(self) -> None:
        """The client takes no more bytes now."""
        if self.upstream is not None:
            self.upstream.pause()

    def resume_upstream(self) -> None:
        """It does again."""
        if self.upstream is not None:
            self.upstream.resume()

    def refuse(self, refusal: Refusal) -> None:
        """Answer with a problem document, or, where an answer has begun, make its end visible."""
        if self.finished:
            return
        self._drop_upstream()
        if self.answered:
            self._cut()
            return
        outcome = "failed" if refusal.status in {502, 504} else "refused"
        status, fields, body = answers.refusal(self, refusal)
        self.answered, self.status, self.bytes_out = True, status, len(body)
        self.sink.head(status, fields, len(body))
        self.sink.data(body)
        self._finish(outcome, refusal)

    # -- what the upstream calls (`Reply`)

    def reply_interim(self, status: int, headers: Headers) -> None:
        """103 and the like go on to the client, with the same fields held back as of a final answer."""
        if not self.finished:
            self.sink.interim(status, to_client(headers))

    def reply_continue(self) -> None:
        """Not asked for: the door sends its own 100."""

    def reply_head(self, status: int, headers: Headers, length: int | None) -> None:
        """The upstream's final head, with our fields."""
        self.first_byte_ns = monotonic_ns()
        self.answered, self.status = True, status
        if self.charge is not None:
            self.charge.heed(headers)
        self.services.record_begin(self)
        self.sink.head(status, answers.relayed(self, headers), length)

    def reply_whole(self, head: AnswerHead, body: bytes) -> None:
        """All of a short answer at once; where the door can, it goes out in one piece, at the end of this turn."""
        if self.sink.takes_whole():
            self.services.whole_answers.add(self, head, body)
        else:
            self.reply_in_parts(head, body)

    def reply_in_parts(self, head: AnswerHead, body: bytes) -> None:
        """The same through head, data and end."""
        self.upstream = None
        self.first_byte_ns = monotonic_ns()
        self.answered, self.status = True, head.status
        if self.charge is not None:
            self.charge.heed(head.headers)
        self.sink.head(head.status, answers.relayed(self, head.headers), head.length)
        if body:
            self.reply_data(body)
        self.reply_end()

    def reply_data(self, chunk: bytes) -> None:
        """Body bytes, unchanged."""
        self.bytes_out += len(chunk)
        self.sink.data(chunk)

    def reply_trailer(self, name: bytes, value: bytes) -> None:
        """An upstream's last word; of interest to what it costs only."""
        if self.charge is not None:
            self.charge.heed_trailer(name, value)

    def reply_end(self) -> None:
        """Whole: record, then let the last byte go."""
        self.upstream = None
        if not self.finished:
            self._finish("gone" if left_alone(self.sink) else "served")

    def reply_failed(self, failure: UpstreamFailure) -> None:
        """No whole answer: 502, 503 or 504, or a visible cut."""
        if self.finished:
            return
        self.upstream = None
        service = self.matched.service.slug
        logger.warning("upstream of %s failed: %s %s (%s)", service, failure.kind, failure.internal, self.request_id)
        if self.answered:
            self._cut()
        else:
            self.refuse(refusal_of(failure))

    def reply_tunnel(self, headers: Headers, tunnel: UpstreamTunnel) -> None:
        """101: from here on bytes pass both ways until one side ends."""
        if self.finished:
            tunnel.close()
            return
        self.answered, self.status, self.upstream = True, 101, None
        self.services.record_begin(self)
        metered = MeteredTunnel(tunnel, self)
        if not self.sink.tunnel(answers.switching(self, headers), metered):
            tunnel.close()
            self._cut()

    def tunnel_ended(self, bytes_in: int, bytes_out: int) -> None:
        """Both directions are over."""
        self.bytes_in, self.bytes_out = bytes_in, bytes_out
        if not self.finished:
            self._finish("served", tell=False)

    def upstream_pause(self) -> None:
        """The upstream is slower than the client."""
        self.sink.pause_body()

    def upstream_resume(self) -> None:
        """It takes bytes again."""
        self.sink.resume_body()

    # -- ends

    def _forward(self) -> None:
        if self.finished or self.answered:
            return
        try:
            self._send_upstream()
        except Exception as fault:  # noqa: BLE001  boundary, as above; a field of ours that can't be written, for one
            self.fail(fault)

    def _send_upstream(self) -> None:
        service, line, admission = self.matched.service, self.line, self.admission
        origin = forwarding.pick(service.upstreams)
        if line is None or admission is None:
            written, limits, head = forwarding.upstream_request(self, origin), forwarding.deadlines(service), b""
        else:
            written, limits = line.upstream, line.deadlines
            head = self.services.known_head(self, line.heads[origin.url], admission.fields.lines)
        self.sent_ns = monotonic_ns()
        upstream = self.services.upstreams.send(origin, written, self, limits, service.max_connections, head)
        if not self.finished:
            self.upstream = upstream
            if written.body != 0:
                self.sink.want_body()

    def _drop_upstream(self) -> None:
        if self.upstream is not None:
            self.upstream.abort()
            self.upstream = None

    def _cut(self) -> None:
        self._finish("cut", tell=False)
        self.sink.abort()

    def fail(self, fault: Exception) -> None:
        """A bug: answered as such where nothing was answered yet."""
        logger.error("fault in exchange %s", self.request_id, exc_info=fault)
        self.refuse(InternalFault())

    def fail_unrecorded(self, fault: Exception) -> None:
        """A bug in recording: what is not written down is not answered."""
        logger.error("exchange %s can't be recorded", self.request_id, exc_info=fault)
        self.sink.abort()

    def _finish(self, outcome: str, refusal: Refusal | None = None, *, tell: bool = True) -> None:
        """Record first, then let the last byte go (G3)."""
        self._settle(outcome, refusal)
        if tell:
            self.sink.end()

    def _settle(self, outcome: str, refusal: Refusal | None) -> None:
        self.finished = True
        if self.charge is not None:
            self.charge.settle(self, outcome)
        self.let_go_of_slots(outcome)
        self.services.record(self, outcome, refusal)

    def let_go_of_slots(self, outcome: str) -> None:
        """What counts requests in progress counts this one no more, and spend caps what it cost. Once, when that is known."""
        bucket = self.bucket
        if self.taken_at and bucket is not None:
            if bucket.weighted:
                bucket.uncharge(self.taken_at, 0 if self.charge is None else self.charge.capped(self, outcome))
            bucket.done()

    def give_back_permits(self) -> None:
        """Refused although it was counted: it has consumed nothing (G1).

        One that is finished was not refused: its client left, and its slots are back already.
        """
        if self.taken_at and self.bucket is not None and not self.finished:
            self.bucket.give_back(self.taken_at)
            self.taken_at = 0.0
