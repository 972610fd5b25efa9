"""Reads that end in time, whatever the database does: the connection is dropped when its time is up.

Dropping it, instead of cancelling the statement, needs no second connection and leaves no task behind, so it works
when the server hangs or the network swallows packets.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import monotonic
from typing import Protocol

import asyncpg

from domain.databases import Pool, PooledConnection

READ_FAULTS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What a read that did not decide anything raises: unreachable, hung, refused by the server, shut down."""


class _Terminable(Protocol):
    def terminate(self) -> None: ...


@contextmanager
def deadline(connection: _Terminable, seconds: float) -> Iterator[None]:
    """Drop the connection unless the block is done in time; a statement in it then raises one of READ_FAULTS."""
    loop = asyncio.get_running_loop()
    due = monotonic() + seconds
    watch: asyncio.TimerHandle

    def time_is_up() -> None:
        nonlocal watch
        if monotonic() - due > seconds / 2:
            # This process stood still, and the answer may lie unread: one more term.
            watch = loop.call_later(seconds, connection.terminate)
        else:
            connection.terminate()

    watch = loop.call_later(seconds, time_is_up)
    try:
        yield
    finally:
        watch.cancel()


@asynccontextmanager
async def lent(pool: Pool, seconds: float) -> AsyncIterator[PooledConnection]:
    """A connection of the pool: at most `seconds` to get it, and as many to use it."""
    connection = await pool.acquire(timeout=seconds)
    try:
        with deadline(connection, seconds):
            yield connection
    finally:
        await pool.release(connection, timeout=seconds)
