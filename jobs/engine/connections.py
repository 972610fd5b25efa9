"""The connections of a worker process: a database pool for long statements, Redis clients that BullMQ can live with."""

from typing import Any

import asyncpg
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from domain.databases import Pool
from domain.settings import Settings

LONGEST_STATEMENT_SECONDS = 1_800.0
LOCK_AND_WORK = 3
"""Connections that one job may hold at once: its lock, its work, its sign of life."""
CONNECT_SECONDS = 2.0
COMMAND_SECONDS = 3.0
BLOCKING_SECONDS = 20.0
"""BullMQ waits for jobs in calls of ten seconds at the most."""
# PostgreSQL notices within a minute that a worker's machine has lost its power, and gives the job's lock to another worker;
# by itself it takes two hours.
_NOTICES_THE_DEAD = {
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60000",
}


async def open_job_pool(settings: Settings) -> Pool:
    """Connects when it is first used, so it opens while the database is away. The caller closes it."""
    return await asyncpg.create_pool(
        settings.database.url.get_secret_value(),
        min_size=0,
        max_size=LOCK_AND_WORK * settings.jobs.concurrency + 2,
        command_timeout=LONGEST_STATEMENT_SECONDS,
        max_inactive_connection_lifetime=60.0,
        timeout=10.0,
        server_settings={"application_name": "paid-endpoint jobs", **_NOTICES_THE_DEAD},
    )


def open_redis(settings: Settings, *, blocking: bool = False) -> Any:
    """A client of its own, with decoded answers, as BullMQ needs it, and without its twenty retries.

    `blocking`: for the call that waits for jobs.
    """
    scheme, _, rest = settings.redis.url.get_secret_value().partition("://")
    options: dict[str, Any] = {
        "decode_responses": True,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": BLOCKING_SECONDS if blocking else COMMAND_SECONDS,
        "socket_keepalive": True,
    }
    if scheme.endswith("+cluster"):
        return RedisCluster.from_url(f"{scheme.removesuffix('+cluster')}://{rest}", **options)
    return Redis.from_url(f"{scheme}://{rest}", retry=Retry(NoBackoff(), 0), **options)
