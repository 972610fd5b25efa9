"""What the tracer says of itself, in the shared files of /metrics."""

import asyncio
import contextlib
import os
from collections import Counter

from domain.traces.tracer import Tracer, TracerStatus
from gateway.metrics import Counts, SharedCounts

PUBLISH_SECONDS = 1.0


async def publish_often(tracer: Tracer) -> None:
    """Publish once a second until cancelled, and then once more."""
    shared, counts = SharedCounts(os.getppid()), Counts(Counter())
    try:
        while True:
            _publish(tracer.status(), shared, counts)
            await asyncio.sleep(PUBLISH_SECONDS)
    finally:
        _publish(tracer.status(), shared, counts)


def _publish(status: TracerStatus, shared: SharedCounts, counts: Counts) -> None:
    counts.gauges.update(workers=0, tracers=1, traces_waiting=status.waiting)
    counts.totals.update(
        spans_exported=status.exported,
        spans_refused=status.refused,
        spans_dropped=status.dropped,
        span_export_failures=status.failures,
        span_segments_missed=status.missed,
    )
    with contextlib.suppress(OSError):
        shared.publish(counts)
