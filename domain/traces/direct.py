"""Spans of processes that have no journal: a request to the portal or the back office, an attempt of a job.

They are few, so each is made where it ends and waits in the same bounded queue for the same collector. What is added is
dropped rather than waited for. Imported only where traces are on.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple
from uuid import uuid4

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from domain.journal.trace_marks import server_span
from domain.request_ids import new_raw_id
from domain.trace_settings import TraceSettings
from domain.traces.context import is_valid
from domain.traces.exporter import ExportCounts, Exporter
from domain.traces.resource import resource_of
from domain.traces.sampling import Sampler
from domain.traces.spans import begin_batch, fail, flags_of, put

FINISH_SECONDS = 1.0
"""How long the end of a process waits for the collector."""


class Begun(NamedTuple):
    """A sampled span that has not ended. `parent` is empty for the root of its trace."""

    trace_id: bytes
    span_id: bytes
    parent: bytes
    began_ns: int


class DirectSpans:
    """One process's. Made by `direct_spans`."""

    def __init__(self, settings: TraceSettings, sampler: Sampler, scope: str) -> None:
        self._sampler, self._scope = sampler, scope
        self._resource = resource_of(settings, str(uuid4()))
        self._exporter: Exporter[Span] = Exporter(settings, self._make, lambda _: 1)

    @property
    def counts(self) -> ExportCounts:
        """What became of spans."""
        return self._exporter.counts

    def begin(self, traceparent: bytes | None = None) -> Begun | None:
        """A span that begins now, below the caller's if that is a valid one; None if it is not sampled."""
        made = new_raw_id()
        if traceparent is not None and is_valid(traceparent):
            if not self._sampler.goes_on(made, traceparent[53:55]):
                return None
            trace, parent = (bytes.fromhex(traceparent[part].decode()) for part in (slice(3, 35), slice(36, 52)))
        else:
            if not self._sampler.begins(made):
                return None
            trace, parent = made, b""
        return Begun(trace, server_span(made), parent, time.time_ns())

    def end(
        self, begun: Begun, name: str, attributes: Mapping[str, str | int], *, server: bool, error: str = ""
    ) -> None:
        """It ends now. `server`: a request, not work of our own; `error`: of which type, in a word."""
        kind = Span.SpanKind.SPAN_KIND_SERVER if server else Span.SpanKind.SPAN_KIND_INTERNAL
        span = Span(
            name=name, kind=kind, trace_id=begun.trace_id, span_id=begun.span_id, parent_span_id=begun.parent,
            flags=flags_of(begun.parent), start_time_unix_nano=begun.began_ns,
            end_time_unix_nano=max(begun.began_ns, time.time_ns()),
        )  # fmt: skip
        for key, value in attributes.items():
            put(span.attributes, key, value)
        if error:
            fail(span, error)
        self._exporter.add(span)

    async def run(self) -> None:
        """Send until cancelled."""
        await self._exporter.run()

    async def finish(self) -> None:
        """Send what waits, for FINISH_SECONDS."""
        await self._exporter.finish(FINISH_SECONDS)

    async def _make(self, batch: list[Span]) -> tuple[ExportTraceServiceRequest, int]:
        request, spans = begin_batch(self._resource, self._scope)
        spans.spans.extend(batch)
        return request, len(batch)


@asynccontextmanager
async def direct_spans(settings: TraceSettings, scope: str) -> AsyncIterator[DirectSpans | None]:
    """Spans named as of `scope`, while the block lasts; None where traces are off."""
    sampler = Sampler.of(settings)
    if sampler is None:
        yield None
        return
    spans = DirectSpans(settings, sampler, scope)
    sending = asyncio.create_task(spans.run(), name="spans")
    try:
        yield spans
        await spans.finish()
    finally:
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
