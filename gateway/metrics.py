"""Counts of one worker, and their exposition for all workers of one gateway.

Counting is a dictionary increment. Once a second each worker writes its counts to a small file in a directory that
the workers of one supervisor share; a scrape of any worker adds the files up, so counters survive a worker's death.
Labels are bounded: service slugs come from the catalog, outcomes from a closed set, statuses are classes.
"""

import json
import os
import shutil
import tempfile
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from gateway.metric_texts import TEXTS

BUCKETS_US = (1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000, 30_000_000)
SILENT_SECONDS = 10.0
"""Who has said nothing for longer hangs; everybody speaks once a second."""

LAG = "log_lag_seconds"


class Counts:
    """What one worker has counted since it started."""

    def __init__(self, refused_by_guard: Counter[str]) -> None:
        """`refused_by_guard` is counted by the protocol: such requests have no row in the request log."""
        self.exchanges: Counter[tuple[str, str, int]] = Counter()
        self.latency = [0] * (len(BUCKETS_US) + 1)
        self.latency_sum_us = 0
        self.rejected = refused_by_guard
        self.gauges: dict[str, float] = {}
        self.totals: dict[str, float] = {}

    def exchange(self, service: str, outcome: str, status: int, total_us: int) -> None:
        """One finished exchange."""
        self.exchanges[service, outcome, status // 100] += 1
        self.latency[bisect_left(BUCKETS_US, total_us)] += 1
        self.latency_sum_us += total_us

    def served(self, service: str, status: int, totals_us: list[int]) -> None:
        """Finished exchanges of one kind, by their times."""
        self.exchanges[service, "served", status // 100] += len(totals_us)
        latency = self.latency
        for total_us in totals_us:
            latency[bisect_left(BUCKETS_US, total_us)] += 1
        self.latency_sum_us += sum(totals_us)

    def snapshot(self) -> dict[str, Any]:
        """As JSON, for the other workers."""
        return {
            "exchanges": [[*labels, count] for labels, count in self.exchanges.items()],
            "latency": self.latency,
            "latency_sum_us": self.latency_sum_us,
            "rejected": dict(self.rejected),
            "gauges": self.gauges,
            "totals": self.totals,
        }


class SharedCounts:
    """The directory in which the workers of one supervisor, and its ingester, leave their counts."""

    def __init__(self, group: int) -> None:
        """`group` is the supervisor's process id; directories of supervisors that are gone are removed."""
        parent = Path(tempfile.gettempdir()) / f"paid-endpoint-metrics-{os.getuid()}"
        parent.mkdir(mode=0o700, exist_ok=True)
        for other in parent.iterdir():
            if other.name.isdigit() and not _alive(int(other.name)):
                shutil.rmtree(other, ignore_errors=True)
        self._folder = parent / str(group)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._own = self._folder / f"{os.getpid()}.json"

    def publish(self, counts: Counts) -> None:
        """Replace this worker's file in one step."""
        draft = self._own.with_suffix(".new")
        draft.write_text(json.dumps(counts.snapshot()))
        draft.replace(self._own)

    def read(self) -> Iterator[tuple[bool, dict[str, Any]]]:
        """Each worker's last counts, and whether it is alive (gauges of the dead do not count)."""
        for file in self._folder.glob("*.json"):
            try:
                silent = time.time() - file.stat().st_mtime
                said = json.loads(file.read_text())
                if silent > SILENT_SECONDS and LAG in said["gauges"]:
                    # An ingester that hangs must not look like one that keeps up.
                    said["gauges"][LAG] += silent
                yield _alive(int(file.stem)), said
            except (OSError, ValueError):
                continue


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


class _AllWorkers(Collector):
    def __init__(self, shared: SharedCounts) -> None:
        self._shared = shared

    def collect(self) -> Iterator[Any]:
        exchanges = CounterMetricFamily(
            "paid_endpoint_exchanges",
            "Requests by service, outcome and status class.",
            labels=["service", "outcome", "status"],
        )
        rejected = CounterMetricFamily(
            "paid_endpoint_guard_refusals", "Malformed requests refused before routing.", labels=["code"]
        )
        latency = HistogramMetricFamily("paid_endpoint_exchange_seconds", "Whole time of an exchange.")
        seen: Counter[tuple[str, str, int]] = Counter()
        refused: Counter[str] = Counter()
        gauges: Counter[str] = Counter()
        totals: Counter[str] = Counter()
        buckets, total_us = [0] * (len(BUCKETS_US) + 1), 0
        for alive, counts in self._shared.read():
            seen.update({(service, outcome, status): count for service, outcome, status, count in counts["exchanges"]})
            refused.update(counts["rejected"])
            totals.update(counts["totals"])
            if alive:
                gauges.update({"workers": 1, **counts["gauges"]})
            buckets = [mine + theirs for mine, theirs in zip(buckets, counts["latency"], strict=True)]
            total_us += counts["latency_sum_us"]
        for (service, outcome, status), count in seen.items():
            exchanges.add_metric([service, outcome, f"{status}xx"], count)
        for code, count in refused.items():
            rejected.add_metric([code], count)
        latency.add_metric([], _cumulative(buckets), total_us / 1e6)
        yield from (exchanges, rejected, latency)
        yield from (
            CounterMetricFamily(f"paid_endpoint_{name}", TEXTS.get(name, name), value) for name, value in totals.items()
        )
        yield from (
            GaugeMetricFamily(f"paid_endpoint_{name}", TEXTS.get(name, name), value) for name, value in gauges.items()
        )


def _cumulative(buckets: list[int]) -> list[tuple[str, float]]:
    bounds = [*(str(bound / 1e6) for bound in BUCKETS_US), "+Inf"]
    running, result = 0, []
    for bound, count in zip(bounds, buckets, strict=True):
        running += count
        result.append((bound, float(running)))
    return result


def exposition(shared: SharedCounts) -> bytes:
    """The text format of Prometheus, all workers added up."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_AllWorkers(shared))
    return generate_latest(registry)
