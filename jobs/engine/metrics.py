"""What a worker process shows on /metrics: runs of jobs here, and what waits in PostgreSQL and Redis, as it was seen last."""

import time
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from domain.job_queue import QueueDepth, queue_depth_if_there
from domain.metrics import PoolCollector, exposition
from domain.waiting import Standing, read_waiting
from jobs.engine.running import Context
from jobs.registry import BY_NAME
from jobs.work import utc_now

LOOK_SECONDS = 10.0
OLD_SECONDS = 60.0
"""What was seen longer ago is not shown any more: an outage must not look like yesterday."""
BUCKETS = (0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 240.0, 600.0, 1_800.0)


class _Waiting(Collector):
    """What waits, for the whole installation: every worker shows the same, so take the greatest, not the sum."""

    def __init__(self) -> None:
        self.standing: Standing | None = None
        self.depth: QueueDepth | None = None
        self.standing_at = self.depth_at = 0.0

    def collect(self) -> Iterator[Any]:
        """Nothing of what could not be seen."""
        now = time.monotonic()
        if self.standing is not None and now - self.standing_at < OLD_SECONDS:
            yield from _standing(self.standing)
        if self.depth is not None and now - self.depth_at < OLD_SECONDS:
            entries = GaugeMetricFamily(
                "paid_endpoint_job_queue_entries", "Entries of the queue of jobs by state.", labels=["state"]
            )
            for state in ("waiting", "active", "delayed", "failed"):
                entries.add_metric([state], getattr(self.depth, state))
            yield entries


def _standing(standing: Standing) -> Iterator[Any]:
    now = utc_now()
    waiting = GaugeMetricFamily("paid_endpoint_outbox_waiting", "What is to be delivered, to 10000.", labels=["kind"])
    behind = GaugeMetricFamily("paid_endpoint_outbox_due_seconds", "For how long the oldest is due.", labels=["kind"])
    failed = GaugeMetricFamily("paid_endpoint_outbox_given_up", "Given up within a day, to 10000.", labels=["kind"])
    for kind, outbox in standing.outboxes.items():
        waiting.add_metric([kind], outbox.waiting)
        behind.add_metric([kind], outbox.behind(now))
        failed.add_metric([kind], outbox.failed)
    alerts = GaugeMetricFamily("paid_endpoint_alerts_open", "Alerts for operators that stand.", labels=["kind"])
    for kind, count in standing.alerts.items():
        alerts.add_metric([kind], count)
    oldest = 0.0 if standing.oldest_alert is None else (now - standing.oldest_alert).total_seconds()
    yield from (waiting, behind, failed, alerts)
    yield GaugeMetricFamily(
        "paid_endpoint_alert_oldest_seconds", "For how long the oldest stands that nobody snoozed; 0: none.", oldest
    )


class JobMetrics:
    """Of one process. `look` is called every second and does something every LOOK_SECONDS."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._due = 0.0
        self._waiting = _Waiting()
        self.registry = CollectorRegistry(auto_describe=False)
        self.runs = Counter(
            "paid_endpoint_job_runs", "Attempts that ended, by outcome.", ["name", "outcome"], registry=self.registry
        )
        self.seconds = Histogram(
            "paid_endpoint_job_run_seconds", "How long they took.", ["name"], buckets=BUCKETS, registry=self.registry
        )
        self.registry.register(PoolCollector(context.database))
        self.registry.register(self._waiting)

    def ran(self, name: str, outcome: str, seconds: float) -> None:
        """An attempt has ended. A name that is no job of ours is not counted: anybody may put it into Redis."""
        if name in BY_NAME:
            self.runs.labels(name, outcome).inc()
            self.seconds.labels(name).observe(seconds)

    async def look(self) -> None:
        """See what waits, if it is time. Raises what asyncpg raises; what was seen before stays for OLD_SECONDS."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + LOOK_SECONDS
        if (depth := await queue_depth_if_there(self._context.redis)) is not None:
            self._waiting.depth, self._waiting.depth_at = depth, time.monotonic()
        async with self._context.database.acquire() as connection:
            self._waiting.standing = await read_waiting(connection, utc_now())
        self._waiting.standing_at = time.monotonic()

    def text(self) -> bytes:
        """For Prometheus."""
        return exposition(self.registry)
