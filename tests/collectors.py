"""A collector on a real socket: OTLP over HTTP, decoded by OpenTelemetry's own messages, with answers that a test chooses.

async with collecting() as collector: ... collector.spans
"""

import asyncio
import contextlib
import gzip
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

TAKEN = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"


def answer(status: int, *fields: str, body: bytes = b"") -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status} Said", *fields, f"content-length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass
class Batch:
    """One request as it came. `taken`: whether it was answered with 2xx."""

    line: str
    headers: dict[str, str]
    body: bytes
    at: float
    taken: bool = False

    @property
    def request(self) -> ExportTraceServiceRequest:
        raw = gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body
        return ExportTraceServiceRequest.FromString(raw)

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for of_resource in self.request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]


@dataclass
class Collector:
    """`answers` are given in turn; without one left it takes everything. None hangs until `released`."""

    port: int = 0
    batches: list[Batch] = field(default_factory=list)
    answers: list[bytes | None] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT takes."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def spans(self) -> list[Span]:
        """Of the batches that were taken, in order; one that was sent twice stands there twice."""
        return [span for batch in self.batches if batch.taken for span in batch.spans]

    def of_kind(self, kind: "Span.SpanKind.ValueType") -> list[Span]:
        return [span for span in self.spans if span.kind == kind]

    @property
    def servers(self) -> list[Span]:
        return self.of_kind(Span.SpanKind.SPAN_KIND_SERVER)

    @property
    def clients(self) -> list[Span]:
        return self.of_kind(Span.SpanKind.SPAN_KIND_CLIENT)


def said(span: Span) -> dict[str, Any]:
    """A span's attributes."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def request_ids(spans: Iterable[Span]) -> list[str]:
    return [said(span)["paid_endpoint.request_id"] for span in spans]


@asynccontextmanager
async def collecting(*answers: bytes | None, port: int = 0) -> AsyncIterator[Collector]:
    """A collector while the block lasts."""
    collector = Collector(answers=list(answers))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *fields = head.strip().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                batch = Batch(line, headers, body, time.monotonic())
                collector.batches.append(batch)
                given = collector.answers.pop(0) if collector.answers else TAKEN
                if given is None:
                    await collector.released.wait()
                    break
                batch.taken = given.startswith(b"HTTP/1.1 2")
                writer.write(given)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=1 << 24)
    collector.port = server.sockets[0].getsockname()[1]
    try:
        yield collector
    finally:
        collector.released.set()
        server.close()
