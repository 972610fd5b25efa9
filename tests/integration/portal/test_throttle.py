"""The counters themselves: exact at once, bounded while Redis is away or hangs, and never for ever."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from domain.faults import TooManyTries
from domain.identity import throttle
from domain.identity.addresses import network_of
from domain.identity.devices import device_of, with_device
from domain.identity.throttle import RULES, SLOTS, Throttle
from domain.portal_settings import SecretSettings
from domain.redis_client import open_client
from domain.settings import RedisSettings
from tests.portals import SECRETS


@asynccontextmanager
async def counting(url):
    """A throttle on this Redis."""
    settings = RedisSettings(url=url, timeout_ms=1000)
    client = open_client(settings)
    try:
        yield Throttle(client, settings)
    finally:
        await client.aclose()


async def allowed(one, who, tries, rule="account"):
    """How many of so many tries at once may be."""
    return sum(await asyncio.gather(*(one.allows(rule, who) for _ in range(tries))))


async def test_of_many_at_once_exactly_the_allowed_ones_may(redis_url):
    async with counting(redis_url) as one, counting(redis_url) as other:
        first, second = await asyncio.gather(allowed(one, "at-once", 30), allowed(other, "at-once", 30))
        assert first + second == 5


async def test_the_wait_is_told_and_every_counter_ends(redis_url):
    async with counting(redis_url) as one:
        await allowed(one, "told", 5)
        with pytest.raises(TooManyTries, match=r"Slowly\. Try again in \d+ seconds\.") as told:
            await one.take("account", "told", "Slowly.")
        assert 1 <= told.value.retry_after_seconds <= 60
    async with Redis.from_url(redis_url, driver_info=None) as client:
        keys = await client.keys("pe:tries:*told*")
        assert len(keys) == 3
        assert all([0 < await client.ttl(key) <= 86_400 for key in keys])


async def test_a_right_try_is_taken_back(redis_url):
    async with counting(redis_url) as one:
        for _ in range(8):
            await one.take("account", "right")
            await one.give_back("account", "right")
        assert await allowed(one, "right", 8) == 5


async def test_while_redis_is_away_tries_are_bounded_in_number_and_memory():
    async with counting("redis://127.0.0.1:1/0") as one:
        assert await allowed(one, "away", 30) == 5
        with pytest.raises(TooManyTries):
            await one.take("account", "away")
        for number in range(2_000):
            await one.allows("network", f"10.0.{number // 250}.{number % 250}")
        assert len(one._here.storage.storage) <= SLOTS * 3 + 3


async def test_a_redis_that_hangs_costs_one_short_wait_and_then_none(monkeypatch):
    monkeypatch.setattr(throttle, "SECONDS", 0.2)

    async def silence(reader, writer):
        await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    async with server, counting(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0") as one:
        begin = time.monotonic()
        assert [await one.allows("account", "hung") for _ in range(6)] == [True] * 5 + [False]
        assert time.monotonic() - begin < 2


def test_networks_are_what_one_customer_of_a_provider_has():
    assert network_of("203.0.113.9") == "203.0.113.9"
    assert network_of("::ffff:203.0.113.9") == "203.0.113.9"
    assert network_of("2001:db8:1:2:3:4:5:6") == network_of("2001:db8:1:2::1") == "2001:db8:1:2::/64"
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert network_of("") == network_of("unix:/x") == "unknown"


def test_a_device_cookie_is_of_its_users_only_and_holds_the_last_five():
    settings = SecretSettings(keys=SECRETS)
    cookie = ""
    for user_id in range(1, 8):
        cookie = with_device(settings, cookie, user_id)
    assert [user for user in range(1, 9) if device_of(settings, cookie, user)] == [3, 4, 5, 6, 7]
    before = device_of(settings, cookie, 7)
    assert device_of(settings, with_device(settings, cookie, 7), 7) != before
    for forged in ("", "7..", "7.x.y", cookie.replace("7.", "8.", 1), "~" * 9, "x" * 5_000, "7.\u00e4.\u00e4"):
        assert device_of(settings, forged, 8) is None
    other = SecretSettings(keys=f"1:{'44' * 32}")
    assert device_of(other, cookie, 7) is None


def test_mails_are_rarer_than_links_die():
    assert (RULES["mail_to"], RULES["verify_to"]) == ("2/10 minutes", "2/10 minutes;6/day")
