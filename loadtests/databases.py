"""A database and a Redis for one measurement, and nothing of them afterwards."""

import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg


@dataclass(frozen=True, slots=True)
class Databases:
    """Where they are; the database is empty at first. `embedded` says whether they are this run's own servers."""

    database_url: str
    redis_url: str
    embedded: bool


@contextmanager
def throwaway_databases(folder: Path, *, durable: bool = False) -> Iterator[Databases]:
    """Our own servers in `folder`, or a new database on the server of DATABASE_URL, with REDIS_URL, if both are set.

    `durable` keeps PostgreSQL's fsync on, as in production. Use it from the main thread.
    """
    database_url, redis_url = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
    if database_url and redis_url:
        with _new_database(database_url) as url:
            yield Databases(url, redis_url, embedded=False)
        return
    from cli.supervisor.services import EmbeddedServices

    with (
        EmbeddedServices(folder / "services", "dev" if durable else "test") as services,
        _new_database(services.database_url) as url,
    ):
        yield Databases(url, services.redis_url, embedded=True)


@contextmanager
def _new_database(server: str) -> Iterator[str]:
    name = f"load_{secrets.token_hex(6)}"
    asyncio.run(_execute(server, f"create database {name}"))
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        asyncio.run(_execute(server, f"drop database if exists {name} with (force)"))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
