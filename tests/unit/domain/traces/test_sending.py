"""One try against a collector on a socket: what its answer means."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from domain.trace_settings import TraceSettings
from domain.traces.sending import Fate, Sender
from tests.collectors import answer, collecting
from tests.gateways import free_port


async def verdict_on(given: bytes | None, **settings):
    async with (
        collecting(given) as collector,
        Sender(TraceSettings(exporter_otlp_endpoint=collector.url, **settings)) as sender,
    ):
        return await sender.send(ExportTraceServiceRequest())


def partial(rejected: int) -> bytes:
    said = ExportTraceServiceResponse()
    said.partial_success.rejected_spans = rejected
    said.partial_success.error_message = "too old"
    return said.SerializeToString()


@pytest.mark.parametrize(
    ("given", "fate", "rejected"),
    [
        (answer(200), Fate.TAKEN, 0),
        (answer(202, body=b"no protobuf \xff"), Fate.TAKEN, 0),
        (answer(200, body=partial(3)), Fate.TAKEN, 3),
        (answer(200, body=partial(-3)), Fate.TAKEN, 0),
        (answer(200, body=b"x" * 100_000), Fate.TAKEN, 0),
        *((answer(status), Fate.AGAIN, 0) for status in (429, 502, 503, 504)),
        *((answer(status), Fate.REFUSED, 0) for status in (301, 400, 401, 404, 413, 500)),
        (b"no http at all\r\n\r\n", Fate.AGAIN, 0),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx", Fate.AGAIN, 0),
    ],
)
async def test_answers(given, fate, rejected):
    found = await verdict_on(given, exporter_otlp_timeout=1_000)
    assert (found.fate, found.rejected) == (fate, rejected)


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ("7", 7, 7),
        ("0", 0, 0),
        ("-5", 0, 0),
        ("99999", 60, 60),
        ("soon", 0, 0),
        (timedelta(seconds=50), 1, 50),
        (timedelta(seconds=-50), 0, 0),
    ],
)
async def test_what_a_collector_asks_for(asked, least, most):
    if isinstance(asked, timedelta):
        asked = format_datetime(datetime.now(UTC) + asked, usegmt=True)
    found = await verdict_on(answer(503, f"retry-after: {asked}"))
    assert least <= found.wait_seconds <= most


async def test_nobody_there_and_nobody_who_answers():
    async with Sender(TraceSettings(exporter_otlp_endpoint=f"http://127.0.0.1:{free_port()}")) as sender:
        assert (await sender.send(ExportTraceServiceRequest())).fate is Fate.AGAIN
    async with asyncio.timeout(5):
        assert (await verdict_on(None, exporter_otlp_timeout=100)).fate is Fate.AGAIN
