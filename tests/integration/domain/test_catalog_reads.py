"""One read however many wait (F20), and no read that a change overtook comes back into the cache (C9)."""

import asyncio

import pytest

from domain.catalog import key_reading
from domain.catalog.catalog import Catalog
from domain.databases import open_pool
from domain.settings import DatabaseSettings
from tests.wire.fault_proxy import FaultProxy

from .conftest import address_of, catalog_settings, dsn_through, make_key, resolved, until


@pytest.fixture
async def counted(database_url):
    """A catalog whose pool has one connection that notes every key it reads."""
    reads = []

    def note(query):
        if "from api_key" in query.query:
            reads.append(query)

    async def watch(connection):
        connection.add_query_logger(note)

    import asyncpg

    async with asyncpg.create_pool(database_url, min_size=1, max_size=4, init=watch) as pool:
        catalog = Catalog(pool, catalog_settings(database_url))
        await catalog.start()
        await until(lambda: catalog.status().listener_ok)
        yield catalog, reads
        await catalog.stop()


async def test_five_hundred_at_once_are_one_read(counted, customer, pool):
    catalog, reads = counted
    # As below: the customer's own making must have been heard.
    generation = await pool.fetchval("select last_value from catalog_generation")
    await until(lambda: catalog.status().generation >= generation)
    found = await asyncio.gather(*(resolved(catalog.find_key(customer.key)) for _ in range(500)))
    assert {snapshot.id for snapshot in found} == {customer.key_id}
    assert len(reads) == 1


async def test_five_hundred_at_once_of_an_unknown_key_are_one_read(counted):
    catalog, reads = counted
    found = await asyncio.gather(*(resolved(catalog.find_key(b"nobody's key")) for _ in range(500)))
    assert found == [None] * 500
    assert len(reads) == 1


async def test_who_gives_up_waiting_does_not_take_the_answer_from_others(counted, customer, pool):
    catalog, reads = counted
    # The customer's own making must have been heard: a change that comes during a read makes it read again.
    generation = await pool.fetchval("select last_value from catalog_generation")
    await until(lambda: catalog.status().generation >= generation)
    impatient, patient = (asyncio.ensure_future(catalog.find_key(customer.key)) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).id == customer.key_id
    assert impatient.cancelled()
    assert len(reads) == 1


@pytest.fixture
async def held(database_url, monkeypatch):
    """A catalog whose reads go through a proxy that can hold the answers for long, while its listener does not."""
    monkeypatch.setattr(key_reading, "READ_SECONDS", 60.0)
    async with FaultProxy(address_of(database_url)) as proxy:
        pool = await open_pool(DatabaseSettings(url=dsn_through(proxy, database_url), pool_max_size=1), "held reads")
        catalog = Catalog(pool, catalog_settings(database_url))
        await catalog.start()
        await until(lambda: catalog.status().listener_ok)
        yield catalog, proxy
        await catalog.stop()
        pool.terminate()


async def until_answered(pool, since):
    """Wait until the server has answered the held read: its row is on the way, as it was then."""
    deadline = asyncio.get_running_loop().time() + 2
    answered = (
        "select 1 from pg_stat_activity where application_name = 'held reads' and datname = current_database()"
        " and state = 'idle' and query like '%select k.id, k.organization_id%' and state_change > $1"
    )
    while await pool.fetchval(answered, since) is None:
        assert asyncio.get_running_loop().time() < deadline


@pytest.mark.parametrize(
    ("statement", "is_new"),
    [
        ("update api_key set revoked_at = now() where id = $1", lambda key: key.revoked),
        (
            "update organization set state = 'suspended' where id = (select organization_id from api_key where id = $1)",
            lambda key: key.organization_state == "suspended",
        ),
        ("delete from api_key where id = $1", lambda key: key is None),
    ],
    ids=["revoked", "suspended", "deleted"],
)
async def test_an_old_row_does_not_come_back_behind_its_invalidation(held, pool, customer, statement, is_new):
    catalog, proxy = held
    await resolved(catalog.find_key(await make_key(pool, customer)))
    since = await pool.fetchval("select clock_timestamp()")
    proxy.to_client.hold()
    reading = asyncio.ensure_future(catalog.find_key(customer.key))
    await until_answered(pool, since)
    generation = catalog.status().generation
    await pool.execute(statement, customer.key_id)
    await until(lambda: catalog.status().generation > generation)
    proxy.to_client.release()
    assert is_new(await reading)
    assert is_new(await resolved(catalog.find_key(customer.key)))


async def test_an_unknown_key_that_is_made_during_the_read_is_found(held, pool, customer):
    import hashlib

    from domain import keys

    catalog, proxy = held
    await resolved(catalog.find_key(b"warms the statement"))
    since = await pool.fetchval("select clock_timestamp()")
    proxy.to_client.hold()
    reading = asyncio.ensure_future(catalog.find_key(b"imported meanwhile"))
    await until_answered(pool, since)
    generation = catalog.status().generation
    await keys.import_sha256(
        pool,
        organization_id=customer.organization_id,
        name="late",
        sha256_hex=hashlib.sha256(b"imported meanwhile").hexdigest(),
    )
    await until(lambda: catalog.status().generation > generation)
    proxy.to_client.release()
    assert (await reading).name == "late"
