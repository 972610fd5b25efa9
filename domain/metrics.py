"""What the processes beside the gateway show of themselves: the pool to the database, and the text that Prometheus reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from domain.databases import Pool

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class PoolUse:
    """Connections of one pool: how many it may have, are lent, lie idle; and who waits for one."""

    most: int
    in_use: int
    idle: int
    waiting: int


def pool_use(pool: Pool) -> PoolUse:
    """As it is at this moment."""
    idle = pool.get_idle_size()
    # asyncpg tells of everything but of those who wait: they stand in its queue's line.
    queue: Any = getattr(pool, "_queue")  # noqa: B009  mypy knows only what is public
    waiting = 0 if queue is None else sum(not each.done() for each in queue._getters)  # noqa: SLF001
    return PoolUse(pool.get_max_size(), pool.get_size() - idle, idle, waiting)


class PoolCollector(Collector):
    """The pool of this process, as it is when it is asked for."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def collect(self) -> Iterator[Any]:
        """Three gauges."""
        use = pool_use(self._pool)
        connections = GaugeMetricFamily(
            "paid_endpoint_pool_connections", "Connections to PostgreSQL of this process.", labels=["state"]
        )
        connections.add_metric(["in_use"], use.in_use)
        connections.add_metric(["idle"], use.idle)
        yield connections
        yield GaugeMetricFamily("paid_endpoint_pool_connections_max", "Connections that it may have.", use.most)
        yield GaugeMetricFamily(
            "paid_endpoint_pool_waiting", "Who waits for a connection of this process.", use.waiting
        )


def exposition(registry: CollectorRegistry) -> bytes:
    """The text format of Prometheus."""
    return generate_latest(registry)
