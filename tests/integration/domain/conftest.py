"""A customer with keys and a service in a real database, and catalogs that run on it."""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from inspect import isawaitable
from urllib.parse import urlsplit

import asyncpg
import pytest

from domain import keys, organizations, plans
from domain.catalog.catalog import Catalog
from domain.databases import open_pool
from domain.limit_texts import parse_limits
from domain.settings import DatabaseSettings, KeySettings, Settings
from tests.wire.fault_proxy import FaultProxy

PEPPERS = f"1:{'11' * 32},2:{'22' * 32}"


def catalog_settings(dsn: str, **key_settings) -> Settings:
    settings = Settings()
    settings.database = DatabaseSettings(url=dsn)
    settings.keys = KeySettings(peppers=PEPPERS, **key_settings)
    return settings


def dsn_through(proxy: FaultProxy, dsn: str) -> str:
    parts = urlsplit(dsn)
    return parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{proxy.address[1]}").geturl()


def address_of(dsn: str) -> tuple[str, int]:
    parts = urlsplit(dsn)
    return parts.hostname, parts.port


async def resolved(found):
    return await found if isawaitable(found) else found


@dataclass
class Customer:
    """One organization with a plan of its own and a live key."""

    organization_id: uuid.UUID
    plan_id: uuid.UUID
    plan_slug: str
    key_id: uuid.UUID
    key: bytes


async def make_customer(pool: asyncpg.Pool) -> Customer:
    slug = f"t{uuid.uuid4().hex[:12]}"
    async with pool.acquire() as connection:
        plan = await plans.create(connection, slug=slug, limits=parse_limits(["1000/hour"]))
        organization = await organizations.create(connection, name=slug, plan_slug=slug)
        created = await keys.create(
            connection, KeySettings(peppers=PEPPERS), organization_id=organization.id, name="key"
        )
    return Customer(organization.id, plan.id, slug, created.record.id, created.plaintext.encode())


async def make_key(pool: asyncpg.Pool, customer: Customer, **fields) -> bytes:
    created = await keys.create(
        pool, KeySettings(peppers=PEPPERS), organization_id=customer.organization_id, name="another", **fields
    )
    return created.plaintext.encode()


async def make_service(pool: asyncpg.Pool) -> str:
    slug = f"s{uuid.uuid4().hex[:12]}"
    await pool.execute(
        "insert into service (slug, name, route_prefix, upstreams) values ($1, $1, $2, $3::jsonb)",
        slug,
        f"/{slug}",
        '[{"url": "http://127.0.0.1:1/base/", "weight": 2}]',
    )
    return slug


@pytest.fixture
async def customer(pool) -> Customer:
    return await make_customer(pool)


@asynccontextmanager
async def running(dsn: str, *, pool_dsn: str = "", **key_settings) -> AsyncIterator[Catalog]:
    """A catalog that listens on `dsn` and reads through `pool_dsn` (the same unless given)."""
    pool = await open_pool(DatabaseSettings(url=pool_dsn or dsn), "catalog under test")
    catalog = Catalog(pool, catalog_settings(dsn, **key_settings))
    await catalog.start()
    try:
        yield catalog
    finally:
        await catalog.stop()
        pool.terminate()


@pytest.fixture
async def run_catalog(database_url) -> AsyncIterator[Callable]:
    """Start any number of catalogs that hear changes; they are stopped after the test."""
    async with AsyncExitStack() as stack:

        async def start(dsn: str = "", **options) -> Catalog:
            catalog = await stack.enter_async_context(running(dsn or database_url, **options))
            await until(lambda: catalog.status().listener_ok)
            return catalog

        yield start


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> float:
    """Poll until it holds; the seconds it took. AssertionError after `seconds`."""
    import asyncio

    loop = asyncio.get_running_loop()
    begun = loop.time()
    while not condition():
        assert loop.time() - begun < seconds, "did not happen in time"
        await asyncio.sleep(0.002)
    return loop.time() - begun


async def until_key(catalog: Catalog, key: bytes, condition: Callable, seconds: float = 5.0) -> float:
    """Poll until the key's snapshot is as wanted; the seconds it took."""
    import asyncio

    loop = asyncio.get_running_loop()
    begun = loop.time()
    while not condition(await resolved(catalog.find_key(key))):
        assert loop.time() - begun < seconds, "did not happen in time"
        await asyncio.sleep(0.002)
    return loop.time() - begun
