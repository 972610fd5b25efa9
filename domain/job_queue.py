"""How much lies in the queue that carries runs of jobs to their workers. PostgreSQL is the record of the runs themselves."""

from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from domain.redis_client import Client, within
from domain.redis_keys import jobs_queue_key

SECONDS = 2.0
MOST_WAITING = 50
"""More than this means that no worker takes them: each job waits at most once by its schedule."""


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Entries by their state. `delayed` has the next time of every schedule, and what is to be tried again."""

    waiting: int
    active: int
    delayed: int
    failed: int

    @property
    def late(self) -> bool:
        """Whether workers do not keep up, or none is there."""
        return self.waiting > MOST_WAITING


async def queue_depth(client: Client) -> QueueDepth:
    """As Redis says now, by any client of ours. Raises RedisError, OSError, TimeoutError."""

    async def read() -> list[int]:
        lists = [await client.llen(jobs_queue_key(part)) for part in ("wait", "paused", "active")]
        return lists + [await client.zcard(jobs_queue_key(part)) for part in ("prioritized", "delayed", "failed")]

    wait, paused, active, prioritized, delayed, failed = await within(SECONDS, read())
    return QueueDepth(wait + paused + prioritized, active, delayed, failed)


async def queue_depth_if_there(client: Any) -> QueueDepth | None:
    """The same; None while Redis does not answer."""
    try:
        return await queue_depth(client)
    except (RedisError, OSError, TimeoutError):
        return None
