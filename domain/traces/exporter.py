"""A bounded queue of what waits for the collector, and its sending in batches.

Whoever adds never waits: what has no room is dropped, and counted. A batch that the collector could not take is sent
again, by its Retry-After or after a growing pause, until it is taken or refused; one at a time.
"""

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from domain.trace_settings import TraceSettings
from domain.traces.sending import Fate, Sender, Verdict

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
Waiting = TypeVar("Waiting")


class ExportCounts:
    """What became of spans since the start; `fault` is why the collector did not take the last batch, empty if it did."""

    def __init__(self) -> None:
        self.exported = self.dropped = self.refused = self.failures = 0
        self.fault = ""


class Exporter(Generic[Waiting]):
    """`make` builds the batch of what was added, and says how many spans that is; `spans_of` the same of one, cheaply."""

    def __init__(
        self,
        settings: TraceSettings,
        make: "Callable[[list[Waiting]], Awaitable[tuple[ExportTraceServiceRequest, int]]]",
        spans_of: "Callable[[Waiting], int]",
    ) -> None:
        self._settings = settings
        self._make, self._spans_of = make, spans_of
        self._waiting: deque[Waiting] = deque()
        self._room = settings.bsp_max_queue_size
        self._most = settings.bsp_max_export_batch_size
        self._delay = settings.bsp_schedule_delay / 1000
        self._wake, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._ending = False
        self.under_way: list[Waiting] = []
        """The batch that is being sent, in the order in which it was added."""
        self.counts = ExportCounts()

    def add(self, one: Waiting) -> bool:
        """Let it wait its turn; False, and dropped, where there is no room."""
        if len(self._waiting) + len(self.under_way) >= self._room:
            self.counts.dropped += self._spans_of(one)
            return False
        self._waiting.append(one)
        self._idle.clear()
        if self._ending or len(self._waiting) >= self._most:
            self._wake.set()
        return True

    def __len__(self) -> int:
        return len(self._waiting) + len(self.under_way)

    def oldest_first(self) -> "list[Waiting]":
        """Everything that is not settled."""
        return [*self.under_way, *self._waiting]

    async def run(self) -> None:
        """Send until cancelled."""
        async with Sender(self._settings) as sender:
            while True:
                if len(self._waiting) < self._most and not self._ending:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._delay):
                            await self._wake.wait()
                self._wake.clear()
                if self._waiting:
                    await self._send(sender)
                elif self._ending:
                    await self._wake.wait()
                if not self._waiting:
                    self._idle.set()

    async def finish(self, seconds: float) -> bool:
        """Send what waits without delay, for so long; whether all is settled."""
        self._ending = True
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        return not len(self)

    async def _send(self, sender: Sender) -> None:
        batch = self.under_way = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        request, spans = await self._make(batch)
        pause = FIRST_PAUSE_SECONDS
        while True:
            verdict = await sender.send(request)
            if verdict.fate is not Fate.AGAIN:
                break
            self._failed(verdict)
            # Apart from each other, so that the nodes of a fleet do not come back in step.
            await asyncio.sleep(verdict.wait_seconds or pause * random.uniform(0.5, 1.0))  # noqa: S311  no secret
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        self._settle(verdict, spans)
        self.under_way = []

    def _settle(self, verdict: Verdict, spans: int) -> None:
        counts = self.counts
        if verdict.fate is Fate.REFUSED:
            counts.refused += spans
            self._failed(verdict)
            return
        rejected = min(spans, verdict.rejected)
        counts.exported += spans - rejected
        counts.refused += rejected
        if rejected:
            log.warning("the collector rejected %d of %d spans: %s", rejected, spans, verdict.reason)
        if counts.fault:
            log.warning("the collector takes spans again")
        counts.fault = ""

    def _failed(self, verdict: Verdict) -> None:
        self.counts.failures += 1
        if not self.counts.fault:
            what = "refused spans" if verdict.fate is Fate.REFUSED else "did not take spans, they are sent again"
            log.error("the collector %s: %s", what, verdict.reason)
        self.counts.fault = verdict.reason
