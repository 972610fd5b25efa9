"""One batch of spans to the collector: OTLP over HTTP, and what its answer means for the batch."""

import asyncio
import gzip
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Self

import httpx2
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from domain.trace_settings import TraceSettings

LONGEST_WAIT_SECONDS = 60.0
"""What a collector may ask for with Retry-After; more is taken for this."""
_ANSWER_BYTES = 65_536
_AGAIN = frozenset((429, 502, 503, 504))
"""The answers after which OTLP wants a batch sent again; of all others it is given up."""


class Fate(Enum):
    """What becomes of a batch."""

    TAKEN = "taken"
    REFUSED = "refused"
    AGAIN = "again"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`rejected`: how many spans of a batch that was taken were not. `wait_seconds`: what the collector asked for."""

    fate: Fate
    reason: str = ""
    rejected: int = 0
    wait_seconds: float = 0.0


class Sender:
    """`async with Sender(settings) as sender:` keeps one connection to the collector."""

    def __init__(self, settings: TraceSettings) -> None:
        self._url = settings.url
        self._zips = settings.exporter_otlp_compression == "gzip"
        self._seconds = settings.exporter_otlp_timeout / 1000
        fields = {**settings.header_fields, "content-type": "application/x-protobuf", "user-agent": "paid-endpoint"}
        if self._zips:
            fields["content-encoding"] = "gzip"
        # What the environment says of proxies is not for spans: whoever wants one names it as the endpoint.
        self._client = httpx2.AsyncClient(
            headers=fields, timeout=httpx2.Timeout(self._seconds), follow_redirects=False, trust_env=False
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *fault: object) -> None:
        await self._client.aclose()

    async def send(self, batch: ExportTraceServiceRequest) -> Verdict:
        """Try once. Never raises for what the collector or the network does."""
        body = batch.SerializeToString()
        if self._zips:
            body = gzip.compress(body, 1)
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._client.stream("POST", self._url, content=body) as answer,
            ):
                return _judged(answer, await _beginning(answer))
        except TimeoutError:
            return Verdict(Fate.AGAIN, f"no answer within {self._seconds:g} s")
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as fault:
            return Verdict(Fate.AGAIN, f"{type(fault).__name__}: {str(fault)[:200]}")


async def _beginning(answer: httpx2.Response) -> bytes:
    held = b""
    async for piece in answer.aiter_bytes():
        held += piece
        if len(held) > _ANSWER_BYTES:
            break
    return held


def _judged(answer: httpx2.Response, body: bytes) -> Verdict:
    status = answer.status_code
    if 200 <= status < 300:
        partial = _partial(body)
        return Verdict(Fate.TAKEN, partial.error_message[:200], max(0, partial.rejected_spans))
    if status in _AGAIN:
        return Verdict(Fate.AGAIN, f"status {status}", wait_seconds=_wait(answer.headers.get("retry-after", "")))
    return Verdict(Fate.REFUSED, f"status {status}")


def _partial(body: bytes) -> ExportTracePartialSuccess:
    said = ExportTraceServiceResponse()
    try:
        said.ParseFromString(body)
    except DecodeError:
        # Taken all the same: some answer with JSON, or with a word.
        return ExportTraceServiceResponse().partial_success
    return said.partial_success


def _wait(text: str) -> float:
    """Seconds of a Retry-After, a number or a date; 0 without one that can be read."""
    try:
        seconds = float(int(text))
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return 0.0
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - datetime.now(UTC)).total_seconds()
    return min(max(0.0, seconds), LONGEST_WAIT_SECONDS)
