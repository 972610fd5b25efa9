"""Hears what other workers need: who runs dry publishes the window's name, and every holder gives back what it has not spent.

A lost connection loses recalls, not permits: they are returned when idle. It is made anew every half second.
"""

import asyncio
from collections.abc import Callable

from domain.quotas.flights import FAULTS
from domain.redis_client import Client, open_subscriber
from domain.redis_keys import RECALLS
from domain.settings import RedisSettings

_RETRY_SECONDS = 0.5
_SILENCE_SECONDS = 5.0


async def publish_recall(client: Client, holder: str, name: str) -> None:
    """Ask every other worker to give back what it has not spent of a window. Raises what a Redis client raises."""
    await client.execute_command("PUBLISH", RECALLS, f"{holder} {name}")


async def hear_recalls(
    settings: RedisSettings, recalled: Callable[[str, str], None], again: Callable[[], None]
) -> None:
    """Call `recalled(holder who asks, name of a window or of an organization's marker)` for each, until cancelled.

    `again()` is called when a lost subscription has been made anew: recalls may have been missed, and the server may have
    lost its memory.
    """
    lost = False
    while True:
        try:
            await _listen(settings, recalled, again if lost else None)
        except FAULTS:
            lost = True
            await asyncio.sleep(_RETRY_SECONDS)


async def _listen(
    settings: RedisSettings, recalled: Callable[[str, str], None], again: Callable[[], None] | None
) -> None:
    client = open_subscriber(settings)
    try:
        async with client.pubsub() as channel:
            await channel.subscribe(RECALLS)
            if again is not None:
                again()
            pinged = False
            while True:
                message = await channel.get_message(timeout=_SILENCE_SECONDS)
                if message is None:
                    if pinged:
                        raise TimeoutError
                    await channel.ping()
                    pinged = True
                    continue
                pinged = False
                if message["type"] == "message":
                    holder, _, name = message["data"].decode("utf-8", "replace").partition(" ")
                    recalled(holder, name)
    finally:
        await client.aclose()
