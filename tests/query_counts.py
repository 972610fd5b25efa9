"""How many statements a piece of work sends to PostgreSQL: pages have a bound, and a list must not grow it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

_OF_THE_POOL = "SELECT pg_advisory_unlock_all()"
"""How asyncpg cleans a connection that goes back to its pool: one round trip, not ours."""
_INTROSPECTION = ("typeinfo_tree", "set_config('jit'", "current_setting('jit'")
"""How asyncpg learns a type, once on each connection."""


@asynccontextmanager
async def counted(pool: asyncpg.Pool) -> AsyncIterator[list[str]]:
    """The statements that connections of the pool send meanwhile, in order; transaction control is not counted.

    Every connection of the pool is opened for it, so nobody else may hold one.
    """
    statements: list[str] = []

    def note(record) -> None:
        text = record.query.strip()
        if any(part in text for part in _INTROSPECTION):
            return
        if not text.startswith((_OF_THE_POOL, "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")):
            statements.append(text)

    held = [await pool.acquire() for _ in range(pool.get_max_size() - pool.get_size() + pool.get_idle_size())]
    real = [proxy._con for proxy in held]
    for connection in real:
        connection.add_query_logger(note)
    for proxy in held:
        await pool.release(proxy)
    try:
        yield statements
        await asyncio.sleep(0)  # asyncpg tells its loggers in the next turn of the loop
    finally:
        for connection in real:
            connection.remove_query_logger(note)
