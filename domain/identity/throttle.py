"""How often somebody may try a password or have a mail sent, so that guessing is hopeless and nobody is locked out (A6).

Every try is counted before the password is looked at, and taken back if it was right. Several windows of one rule make
a delay that grows: some tries at once, then some each hour, then some each day. A refused try never makes a wait longer.

Who signed in with a browser before has a count of their own, whatever strangers do to the account. Strangers share one
count for each account and one for each network. Windows are in Redis; while it is away, each process counts by itself
in a table of fixed size.
"""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from limits import RateLimitItem, parse_many
from limits.aio.storage import MemoryStorage, RedisClusterStorage, RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter
from redis.exceptions import RedisError

from domain.faults import TooManyTries
from domain.redis_client import is_cluster, within
from domain.settings import RedisSettings

PREFIX = "pe:tries"
SECONDS = 0.5
"""For all windows of a try together; then this process counts by itself."""
AWAY_SECONDS = 5.0
"""After a failure Redis is not asked again for this long: a hung one must not slow every sign-in."""
MOST_HASHING = 40
"""Passwords that wait for their hash, two at once, some 70 ms each."""
SLOTS = 4_096
"""Counters of a rule in this process: who shares one by chance also shares the count."""

RULES = {
    "device": "10/5 minutes;40/day",
    "account": "5/minute;20/hour;60/day",
    "network": "20/minute;100/hour;400/day",
    "mail_to": "2/10 minutes",
    "verify_to": "2/10 minutes;6/day",
    "proof": "10/5 minutes;40/day",
    "factor_session": "5/15 minutes",
    "factor": "10/15 minutes;40/day",
    "own_email": "5/hour;10/day",
    "mail_from": "10/10 minutes;60/day",
    "change_to": "2/10 minutes;6/day",
    "invite_to": "5/hour;10/day",
}
"""Rules by name. A mail's window is shorter than its link lives, so there always is a good link in the mailbox."""

_AWAY = (RedisError, OSError, TimeoutError)


class Throttle:
    """The counters of one process, over the given Redis client."""

    def __init__(self, client: Any, settings: RedisSettings) -> None:
        self._redis = FixedWindowRateLimiter(_storage(client, settings))
        self._here = FixedWindowRateLimiter(MemoryStorage())
        self._rules = {
            name: sorted(parse_many(text), key=lambda item: item.get_expiry()) for name, text in RULES.items()
        }
        self._away_until = 0.0
        self._hashing = 0

    @asynccontextmanager
    async def hashing(self, *, known: bool) -> AsyncIterator[None]:
        """While a password is hashed. Strangers beyond MOST_HASHING get TooManyTries, a known browser never."""
        if not known and self._hashing >= MOST_HASHING:
            raise TooManyTries("Very many sign in at this moment. Try again soon.", retry_after_seconds=5)
        self._hashing += 1
        try:
            yield
        finally:
            self._hashing -= 1

    async def take(self, rule: str, who: str, sentence: str = "This was tried too often.") -> None:
        """Count a try of `who`. Raises TooManyTries with `sentence` and when it may be tried again."""
        wait = await self._take(rule, who)
        if wait is not None:
            raise TooManyTries(f"{sentence} Try again in {_span(wait)}.", retry_after_seconds=wait)

    async def allows(self, rule: str, who: str) -> bool:
        """Count a try of `who` and say whether it may be."""
        return await self._take(rule, who) is None

    async def give_back(self, rule: str, who: str) -> None:
        """Take back a try that was right."""
        for item in self._rules[rule]:
            key = item.key_for(rule, who)
            if self._asks_redis():
                try:
                    await within(SECONDS, self._redis.storage.incr(key, item.get_expiry(), amount=-1))
                    continue
                except _AWAY:
                    self._note_away()
            await self._here.storage.incr(item.key_for(rule, _slot(who)), item.get_expiry(), amount=-1)

    async def _take(self, rule: str, who: str) -> int | None:
        """Seconds to wait; None if it may be."""
        if self._asks_redis():
            try:
                return await within(SECONDS, _hit(self._redis, self._rules[rule], rule, who))
            except _AWAY:
                self._note_away()
        return await _hit(self._here, self._rules[rule], rule, _slot(who))

    def _asks_redis(self) -> bool:
        return time.monotonic() >= self._away_until

    def _note_away(self) -> None:
        self._away_until = time.monotonic() + AWAY_SECONDS


async def _hit(limiter: FixedWindowRateLimiter, items: list[RateLimitItem], rule: str, who: str) -> int | None:
    for item in items:  # the shortest window first: what it refuses is not counted in the longer ones
        if not await limiter.hit(item, rule, who):
            stats = await limiter.get_window_stats(item, rule, who)
            return min(max(1, round(stats.reset_time - time.time()) + 1), item.get_expiry())
    return None


def _slot(who: str) -> str:
    return str(zlib.crc32(who.encode()) % SLOTS)


def _storage(client: Any, settings: RedisSettings) -> Storage:
    if not is_cluster(client):
        return RedisStorage(
            "async+redis://", implementation="redispy", key_prefix=PREFIX, connection_pool=client.connection_pool
        )
    url = settings.url.get_secret_value().replace("+cluster", "", 1)
    secure, rest = url.startswith("rediss"), url.partition("://")[2]
    options: dict[str, Any] = {"ssl": True} if secure else {}
    return RedisClusterStorage(
        f"async+redis+cluster://{rest.partition('/')[0]}", implementation="redispy", key_prefix=PREFIX, **options
    )


def _span(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} seconds"
    return f"{-(-seconds // 60)} minutes" if seconds < 7_200 else f"{-(-seconds // 3_600)} hours"


async def at_least(seconds: float, since: float) -> None:
    """Wait until so much time has passed since `since` of time.monotonic(): how long it took tells nothing then."""
    await asyncio.sleep(max(0.0, seconds - (time.monotonic() - since)))
