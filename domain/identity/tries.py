"""How often something secret may be guessed: counted before it is compared, so that guesses at once don't get more.

Counts are in Redis. While that is away each process counts by itself, so that an outage is no open door.
"""

import time
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from domain.faults import TooManyTries
from domain.redis_client import within
from domain.redis_keys import tries_key

SECONDS = 0.5
MOST_LOCAL = 10_000


@dataclass(frozen=True, slots=True)
class Allowed:
    """So many tries of one kind in so many seconds."""

    kind: str
    most: int
    seconds: int


_local: dict[str, tuple[float, int]] = {}


async def count_try(redis: Any, allowed: Allowed, who: object) -> int:
    """Count one try of `who` and return how many are left. Raises TooManyTries when there were none left."""
    key = tries_key(allowed.kind, str(who))
    try:
        count = int(await within(SECONDS, redis.execute_command("INCR", key)))
        await within(SECONDS, redis.execute_command("EXPIRE", key, allowed.seconds, "NX"))
    except (RedisError, OSError, TimeoutError):
        count = _count_here(key, allowed.seconds)
    if count > allowed.most:
        raise TooManyTries(
            "This was tried too often. Wait a little, then try again.", retry_after_seconds=allowed.seconds
        )
    return allowed.most - count


async def forget_tries(redis: Any, allowed: Allowed, who: object) -> None:
    """Begin anew: what was tried was right."""
    key = tries_key(allowed.kind, str(who))
    _local.pop(key, None)
    try:
        await within(SECONDS, redis.execute_command("DEL", key))
    except (RedisError, OSError, TimeoutError):
        return


def _count_here(key: str, seconds: int) -> int:
    now = time.monotonic()
    if len(_local) >= MOST_LOCAL:
        for old in [name for name, (until, _) in _local.items() if until <= now] or list(_local)[: MOST_LOCAL // 2]:
            del _local[old]
    until, count = _local.get(key, (0.0, 0))
    _local[key] = (until, count + 1) if until > now else (now + seconds, 1)
    return _local[key][1]
