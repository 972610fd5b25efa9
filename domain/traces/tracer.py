"""Makes spans of what the workers of this node have journaled, and sends them to a collector.

Never in the way of a request or of its record: it only reads journals. What the collector does not take waits in a
bounded queue, what has no room there is dropped and counted. A killed process has the last batches sent again.
"""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from domain.ingesting.ingester import node_of
from domain.journal.trace_marks import spans_of
from domain.settings import Settings
from domain.traces.exporter import Exporter
from domain.traces.following import FRAMES_AT_ONCE, Follower, Found
from domain.traces.names import Names
from domain.traces.resource import resource_of
from domain.traces.spans import SpanMaker, begin_batch

log = logging.getLogger(__name__)

POLL_SECONDS, SAVE_SECONDS = 0.1, 1.0
HANDOVER_SECONDS = 1.0
"""How long what is read may still be sent before a successor reads it again."""
SCOPE = "paid_endpoint.gateway"


@dataclass(frozen=True, slots=True)
class TracerStatus:
    """For /metrics. Spans: `exported` the collector took, `refused` it will never take, `dropped` found no room.

    `failures` are tries that the collector did not take; `waiting` are sampled requests; `missed` are segments of
    journals that were gone before they were read.
    """

    exported: int
    refused: int
    dropped: int
    failures: int
    waiting: int
    missed: int


class Tracer:
    """One per node. The caller holds the node's lock (`gateway.tracer`)."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """`folder` is where the journals are."""
        self._follower = Follower(folder)
        self._names = Names(settings.database)
        self._maker = SpanMaker(self._names)
        self._resource = resource_of(settings.traces, str(node_of(folder)))
        self._exporter: Exporter[Found] = Exporter(settings.traces, self._make, lambda found: spans_of(found.record))
        self._saved_at = time.monotonic()
        self._stopping = False
        self._until: float | None = None
        self._wait_for_writers = False
        self._wake = asyncio.Event()

    def stand_by(self) -> None:
        """Hold what there is to read, while another one still reads it."""
        self._follower.stand_by()

    async def run(self) -> None:
        """Follow and send until `stop` or the end of `drain`. By now nobody else does."""
        self._follower.begin()
        sending = asyncio.create_task(self._exporter.run())
        try:
            while not self._over():
                self._follower.adopt()
                frames = self._follower.read(self._exporter.add)
                self._save_often()
                if sending.done():
                    sending.result()
                if self._until is not None and not frames and (self._follower.is_over() or not self._wait_for_writers):
                    break
                await self._sleep(0.0 if frames >= FRAMES_AT_ONCE else POLL_SECONDS)
            left = HANDOVER_SECONDS if self._until is None else self._until - time.monotonic()
            if not await self._exporter.finish(max(0.0, left)):
                log.warning("%d traced requests are left: the collector did not take them in time", len(self._exporter))
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending
            self._follower.save(self._exporter.oldest_first())
            self._follower.close()

    def stop(self) -> None:
        """Read no more, send what was read, and end; a successor goes on."""
        self._stopping = True
        self._wake.set()

    def drain(self, seconds: float, *, wait_for_writers: bool = False) -> None:
        """Send what is there and end, within `seconds`; with `wait_for_writers` not before every journal is closed."""
        self._until = time.monotonic() + seconds
        self._wait_for_writers = wait_for_writers
        self._wake.set()

    def status(self) -> TracerStatus:
        """The figures now."""
        counts = self._exporter.counts
        return TracerStatus(
            counts.exported, counts.refused, counts.dropped, counts.failures, len(self._exporter), self._follower.missed
        )

    async def _make(self, batch: list[Found]) -> tuple[ExportTraceServiceRequest, int]:
        await self._names.refresh()
        made = self._build(batch)
        if self._names.missed:
            version = self._names.version
            await self._names.refresh()
            if self._names.version != version:
                made = self._build(batch)
        return made

    def _build(self, batch: list[Found]) -> tuple[ExportTraceServiceRequest, int]:
        request, spans = begin_batch(self._resource, SCOPE)
        return request, sum(self._maker.add(spans, found.record) for found in batch)

    def _save_often(self) -> None:
        if time.monotonic() - self._saved_at >= SAVE_SECONDS:
            self._saved_at = time.monotonic()
            self._follower.save(self._exporter.oldest_first())

    def _over(self) -> bool:
        return self._stopping or (self._until is not None and time.monotonic() > self._until)

    async def _sleep(self, seconds: float) -> None:
        if self._until is not None or not seconds:
            await asyncio.sleep(min(seconds, POLL_SECONDS))
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
