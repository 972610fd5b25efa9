"""Databases that one test has for itself, on the server of the run."""

import contextlib
import secrets
from collections.abc import AsyncIterator

import asyncpg

PEPPERS = f"1:{'11' * 32},2:{'22' * 32}"


@contextlib.asynccontextmanager
async def empty_database(url: str) -> AsyncIterator[str]:
    """DSN of a new database without any table, beside the one of `url`; dropped afterwards."""
    name = f"own_{secrets.token_hex(6)}"
    own = f"{url.rpartition('/')[0]}/{name}"
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"create database {name}")
        try:
            yield own
        finally:
            await connection.execute(f"drop database {name} with (force)")
    finally:
        await connection.close()
