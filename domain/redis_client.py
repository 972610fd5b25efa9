"""The Redis connection of a worker: short budgets, no retries, RESP3.

A caller's wait is bounded by `within`, which also bounds connecting. The sockets' own timeouts are only its backstop.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from domain.settings import RedisSettings

T = TypeVar("T")
Client = Any
"""`Redis` or `RedisCluster`: both have `execute_command`, `ping` and `aclose`."""

_BACKSTOP_SECONDS = 1.0
"""Far behind the budget: a socket's timer that is due after a stall ends a call whose answer lies in the socket."""
_SLICES = 5
"""Parts of a budget. One that lasts longer than it should counts once, so time in which this process did not get to
look at its sockets, because of a burst of requests, is not held against Redis."""
_GRACE_TURNS = 6
"""Turns of the event loop from bytes in a socket to an awakened reader, with room."""


def open_client(settings: RedisSettings) -> Client:
    """A client that has not connected yet. `redis+cluster://` and `rediss+cluster://` name any node of a cluster."""
    url = settings.url.get_secret_value()
    seconds = settings.timeout_ms / 1000
    options: dict[str, Any] = {
        "protocol": 3,
        "socket_timeout": seconds + _BACKSTOP_SECONDS,
        "socket_connect_timeout": seconds + _BACKSTOP_SECONDS,
        "driver_info": None,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    retry = Retry(NoBackoff(), 0)
    scheme, _, rest = url.partition("://")
    if scheme.endswith("+cluster"):
        plain = f"{scheme.removesuffix('+cluster')}://{rest}"
        # A redirect is no failure, so a cluster's client keeps the retries that follow MOVED and ASK.
        return RedisCluster.from_url(plain, max_connections=settings.max_connections, **options)
    pool = BlockingConnectionPool.from_url(
        url, max_connections=settings.max_connections, timeout=seconds, retry=retry, **options
    )
    return Redis.from_pool(pool)


def open_subscriber(settings: RedisSettings) -> Redis:
    """A client for one subscription, which may be silent for long. Of a cluster, any node will do: it tells them all."""
    scheme, _, rest = settings.url.get_secret_value().partition("://")
    url = f"{scheme.removesuffix('+cluster')}://{rest}"
    return Redis.from_url(
        url,
        protocol=3,
        socket_connect_timeout=settings.timeout_ms / 1000 + _BACKSTOP_SECONDS,
        socket_timeout=None,
        retry=Retry(NoBackoff(), 0),
        driver_info=None,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )


def is_cluster(client: Client) -> bool:
    """Whether the client speaks to a cluster, which has no pipeline that runs scripts."""
    return isinstance(client, RedisCluster)


async def within(seconds: float, answer: Awaitable[T]) -> T:
    """The answer, or TimeoutError after `seconds`.

    If the event loop was the slow one, the answer may lie unread in the socket when the time is over: it is read
    before giving up, because a needless fall-back to local limits would admit more than the limit. A call that is
    given up is cancelled, which closes its connection, so that no other caller can get its answer.
    """
    call = asyncio.ensure_future(answer)
    try:
        for _ in range(_SLICES):
            await asyncio.wait((call,), timeout=seconds / _SLICES)
            if call.done():
                break
        for _ in range(_GRACE_TURNS):
            if call.done():
                break
            await asyncio.sleep(0)
    except asyncio.CancelledError:
        _abandon(call)
        raise
    if call.done():
        return call.result()
    _abandon(call)
    raise TimeoutError


def _abandon(call: "asyncio.Future[Any]") -> None:
    call.cancel()
    call.add_done_callback(lambda done: done.cancelled() or done.exception())
