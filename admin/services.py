"""Everything that a handler of the back office may use, opened by the lifespan."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from admin.web.kept import Kept
from admin.web.templates import AdminTemplates
from domain.back_office.overview import Pressed
from domain.databases import Pool, open_pool
from domain.identity.throttle import Throttle
from domain.log_store.store import LogStore, open_logs
from domain.redis_client import Client, open_client
from domain.settings import Settings
from portal.web.turns import Turns

PRESSED_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Services:
    """One process's parts."""

    settings: Settings
    database: Pool
    redis: Client
    templates: AdminTemplates
    throttle: Throttle
    turns: Turns
    logs: LogStore
    pressed: Kept[list[Pressed]] = field(default_factory=lambda: Kept(PRESSED_SECONDS))
    """Who is close to a limit: thousands are looked at for it, so not for every look at the overview."""


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open every part, close them in reverse. None of them fails because a server is away: they connect when used."""
    async with AsyncExitStack() as stack:
        pool = await open_pool(settings.database, "paid-endpoint admin")
        stack.push_async_callback(pool.close)
        turns = Turns(settings.database.pool_max_size)
        redis: Client = open_client(settings.redis)
        stack.push_async_callback(redis.aclose)
        logs = await stack.enter_async_context(open_logs(settings))
        yield Services(settings, pool, redis, AdminTemplates(), Throttle(redis, settings.redis), turns, logs)
