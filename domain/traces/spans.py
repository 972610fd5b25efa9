"""Spans of a record: one around the whole request, and one around its upstream's part if it came to an upstream.

Names of attributes are those of OpenTelemetry's conventions for HTTP, and `paid_endpoint.*` for what only we know. Into a
span goes what we chose or what is one of a few: ids, names of services, operations and plans, route patterns, numbers.
Nothing goes in that a caller or an upstream wrote: no path, no query, no header, no address (a test sends some).
"""

from typing import Any
from uuid import UUID

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, SpanFlags, Status

from domain.ingesting.batches import at_us
from domain.journal.decision import unpack_decision
from domain.journal.records import DIMENSIONS, Recorded, unpack
from domain.journal.trace_marks import TraceMark, read_mark, server_span, upstream_span
from domain.traces.names import Names, Target

METHODS = frozenset(("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"))
OTHER_METHOD = "_OTHER"
FIRST_BYTE = "first byte"
_UNSEEN = "HTTP"
"""A method in the name of a span, where it is none of the above."""
_SAMPLED = 1
_LOCAL = _SAMPLED | SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_REMOTE = _LOCAL | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
_MOST_TEMPLATES = 4_096
_US = 1_000
_LATEST_US = 2**64 // _US - 1
"""What a span can say; the clock of a broken record may be anywhere."""


class SpanMaker:
    """Makes spans by the names of now. What is the same for all requests of a kind is made once."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._templates: dict[tuple[bytes, str, UUID | None], tuple[Span, Span]] = {}
        self._version = names.version

    def add(self, spans: ScopeSpans, record: bytes) -> int:
        """Add the record's spans; how many. None for a record that is not sampled, or not whole."""
        mark = read_mark(record)
        if mark is None:
            return 0
        try:
            row = unpack(record)
        except (ValueError, OverflowError, OSError):
            return 0
        ended_us = min(max(0, at_us(record)), _LATEST_US)
        server, client = self._template(record, row)
        span = spans.spans.add()
        span.CopyFrom(server)
        _fill_server(span, row, mark, ended_us)
        if row.upstream_us is None:
            return 1
        span = spans.spans.add()
        span.CopyFrom(client)
        _fill_client(span, row, mark, ended_us)
        return 2

    def _template(self, record: bytes, row: Recorded) -> tuple[Span, Span]:
        if self._version != self._names.version or len(self._templates) >= _MOST_TEMPLATES:
            self._templates.clear()
            self._version = self._names.version
        decision = unpack_decision(row.decision) if row.decision else None
        plan_id = decision.plan_id if decision is not None else None
        kind = record[DIMENSIONS], row.method, plan_id
        found = self._templates.get(kind)
        if found is None:
            found = self._templates[kind] = self._make(row, record[DIMENSIONS], plan_id)
        return found

    def _make(self, row: Recorded, dimensions: bytes, plan_id: UUID | None) -> tuple[Span, Span]:
        target = self._names.target(dimensions[32:48], dimensions[48:])
        method = row.method if row.method in METHODS else OTHER_METHOD
        shown = method if method != OTHER_METHOD else _UNSEEN
        named = f"{shown} {target.route}" if target is not None else shown
        server = Span(name=named, kind=Span.SpanKind.SPAN_KIND_SERVER)
        client = Span(name=shown, kind=Span.SpanKind.SPAN_KIND_CLIENT)
        put(server.attributes, "http.request.method", method)
        put(client.attributes, "http.request.method", method)
        for name, id_ in (("organization", row.organization_id), ("key", row.key_id)):
            if id_ is not None:
                put(server.attributes, f"paid_endpoint.{name}.id", str(id_))
        if plan := self._names.plan(plan_id):
            put(server.attributes, "paid_endpoint.plan", plan)
        if target is not None:
            _put_target(server, client, target)
        return server, client


def _put_target(server: Span, client: Span, target: Target) -> None:
    put(server.attributes, "http.route", target.route)
    for span in (server, client):
        put(span.attributes, "paid_endpoint.service", target.service)
        if target.operation:
            put(span.attributes, "paid_endpoint.operation", target.operation)
    if target.host:
        put(client.attributes, "server.address", target.host)
        put(client.attributes, "server.port", target.port)


def _fill_server(span: Span, row: Recorded, mark: TraceMark, ended_us: int) -> None:
    span.trace_id, span.span_id = mark.trace_id, server_span(row.id.bytes)
    span.parent_span_id, span.flags = mark.parent, flags_of(mark.parent)
    span.end_time_unix_nano = ended_us * _US
    span.start_time_unix_nano = _begun_us(row, ended_us) * _US
    said = span.attributes
    put(said, "paid_endpoint.request_id", str(row.id))
    put(said, "paid_endpoint.outcome", row.outcome)
    put(said, "http.request.body.size", row.bytes_in)
    put(said, "http.response.body.size", row.bytes_out)
    if row.status:
        put(said, "http.response.status_code", row.status)
    if row.cost_micro:
        put(said, "paid_endpoint.cost_micro", row.cost_micro)
    if row.refusal:
        put(said, "paid_endpoint.refusal", row.refusal)
    if row.limit_name:
        put(said, "paid_endpoint.limit", row.limit_name)
    if row.status >= 500 or row.outcome == "cut":
        fail(span, row.refusal or (str(row.status) if row.status >= 500 else row.outcome))


def _fill_client(span: Span, row: Recorded, mark: TraceMark, ended_us: int) -> None:
    assert row.upstream_us is not None
    span.trace_id, span.span_id = mark.trace_id, upstream_span(row.id.bytes)
    span.parent_span_id, span.flags = server_span(row.id.bytes), _LOCAL
    sent_us = min(ended_us, _begun_us(row, ended_us) + mark.wait_us)
    span.start_time_unix_nano, span.end_time_unix_nano = sent_us * _US, ended_us * _US
    if row.refusal:
        fail(span, row.refusal)
        return
    if row.status:
        # It answered: what is relayed has its status.
        put(span.attributes, "http.response.status_code", row.status)
        span.events.add(name=FIRST_BYTE, time_unix_nano=min(ended_us, sent_us + row.upstream_us) * _US)
    if row.status >= 400 or row.outcome == "cut":
        fail(span, str(row.status) if row.status >= 400 else row.outcome)


def _begun_us(row: Recorded, ended_us: int) -> int:
    return min(ended_us, max(0, ended_us - row.total_us))


def flags_of(parent: bytes) -> int:
    """A sampled span's flags; who has a parent has it elsewhere."""
    return _REMOTE if parent else _LOCAL


def begin_batch(resource: Resource, scope: str) -> tuple[ExportTraceServiceRequest, ScopeSpans]:
    """A batch without spans, and where they go."""
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    of_resource.resource.CopyFrom(resource)
    spans = of_resource.scope_spans.add()
    spans.scope.name = scope
    return request, spans


def fail(span: Span, kind: str) -> None:
    """Its status is an error of this type."""
    span.status.code = Status.StatusCode.STATUS_CODE_ERROR
    put(span.attributes, "error.type", kind)


def put(attributes: Any, name: str, value: str | int) -> None:
    """`attributes` is a span's."""
    entry = attributes.add(key=name)
    if isinstance(value, int):
        entry.value.int_value = value
    else:
        entry.value.string_value = value
