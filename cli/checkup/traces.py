"""Whether the collector that traces are sent to takes them. Never a failure: nothing but spans depends on it."""

from collections.abc import AsyncIterator

from cli.checkup.finding import Finding, judge
from domain.settings import Settings

_ABSENT = "Start the collector, or correct OTEL_EXPORTER_OTLP_ENDPOINT (port 4318, OTLP over HTTP; 4317 is gRPC's)."
_REFUSED = "See OTEL_EXPORTER_OTLP_HEADERS, and the path: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT takes the whole URL."


async def check_traces(settings: Settings) -> AsyncIterator[Finding]:
    """Sends a batch without spans, once."""
    url = settings.traces.url
    if not url:
        yield Finding("ok", "traces", "off: no OTEL_EXPORTER_OTLP_ENDPOINT")
        return
    # Only here: they take longer to import than most commands run.
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    from domain.traces.sending import Fate, Sender

    async with Sender(settings.traces) as sender:
        verdict = await sender.send(ExportTraceServiceRequest())
    taken = verdict.fate is Fate.TAKEN
    yield judge(
        "traces",
        f"{url} takes spans" if taken else f"{url}: {verdict.reason}",
        warns=not taken,
        advice=_REFUSED if verdict.fate is Fate.REFUSED else _ABSENT,
    )
