"""Where traces are on: which requests leave spans, and what their records and the upstream are told of that.

A span itself is made of the record, by another process (`gateway.tracer`): here is a comparison for each request, and
for a sampled one a few bytes more in its record.
"""

from time import monotonic_ns
from typing import TYPE_CHECKING

from domain.journal.trace_marks import marked
from domain.refusals import Refusal
from domain.traces.sampling import Sampler
from gateway import forwarding, headers, recording, tracing

if TYPE_CHECKING:
    from gateway.exchange import Exchange


class Sampled:
    """One worker's decisions, by one sampler."""

    __slots__ = ("_sampler",)

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def known_head(self, exchange: "Exchange", begin: bytes, lines: bytes) -> bytes:
        """`forwarding.known_head`, sampled or not."""
        if self._sampler.begins(exchange.id):
            return forwarding.known_sampled_head(exchange, begin, lines)
        return forwarding.known_head(exchange, begin, lines)

    def begin(self, exchange: "Exchange", traceparent: bytes | None) -> tuple[bytes, bool]:
        """`tracing.begin`, with our own decision in the flags for the upstream."""
        ours, goes_on = tracing.begin(exchange, traceparent)
        parent = b""
        if traceparent is not None and goes_on:
            sampled, parent = self._sampler.goes_on(exchange.id, traceparent[53:55]), traceparent[36:52]
        else:
            sampled = self._sampler.begins(exchange.id)
        if sampled:
            exchange.trace_id = marked(exchange.trace_id, monotonic_ns() - exchange.begun_ns, parent)
        return tracing.with_decision(ours, sampled=sampled), goes_on

    def record(self, exchange: "Exchange", outcome: str, refusal: Refusal | None) -> None:
        """`recording.record`. What never came to an upstream has its trace from here: it leaves a span as well."""
        if not exchange.trace_id:
            self.begin(exchange, headers.traceparent_of(exchange.request) if exchange.line is None else None)
        recording.record(exchange, outcome, refusal)
