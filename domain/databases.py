"""Opening PostgreSQL for the paths where speed counts: asyncpg, from the settings."""

from typing import TypeAlias

import asyncpg

from domain.settings import DatabaseSettings

# Quoted: only the stubs of asyncpg know parameters.
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What is met where the database is away or was lost in the middle; the last is what asyncpg itself trips over then."""
PooledConnection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


async def open_pool(settings: DatabaseSettings, application_name: str, *, lock_seconds: float = 0) -> Pool:
    """A pool that connects when it is first used, so that opening it succeeds while the database is away.

    The caller closes it. `application_name` is what an operator sees in pg_stat_activity. A statement that waits for a lock
    longer than `lock_seconds` raises asyncpg.LockNotAvailableError; 0: it waits on.
    """
    return await asyncpg.create_pool(
        settings.url.get_secret_value(),
        min_size=0,
        max_size=settings.pool_max_size,
        command_timeout=settings.command_timeout_ms / 1000,
        statement_cache_size=100,
        max_inactive_connection_lifetime=300.0,
        server_settings={"application_name": application_name, "lock_timeout": str(int(lock_seconds * 1000))},
    )
