"""A lost notification channel: changes still arrive in under 5 s (G4). A lost database: known keys go on (G5)."""

import asyncio
from inspect import isawaitable

import pytest

from domain.refusals import CannotDecide
from tests.wire.fault_proxy import FaultProxy

from .conftest import address_of, dsn_through, make_key, make_service, resolved, running, until, until_key

KILL_LISTENERS = (
    "select count(pg_terminate_backend(pid)) from pg_stat_activity"
    " where application_name = 'paid-endpoint listener' and datname = current_database()"
)


async def until_lost(catalog, seconds=3.0):
    await until(lambda: not catalog.status().listener_ok, seconds)


async def test_a_killed_listener_comes_back_and_what_it_missed_is_seen(run_catalog, pool, customer):
    catalog = await run_catalog()
    assert not (await resolved(catalog.find_key(customer.key))).revoked
    async with pool.acquire() as connection, connection.transaction():
        # In one transaction: the listener is gone before the change is announced.
        assert await connection.fetchval(KILL_LISTENERS) == 1
        await until_lost(catalog)
        assert catalog.status().reason
        await connection.execute("update api_key set revoked_at = now() where id = $1", customer.key_id)
    took = await until_key(catalog, customer.key, lambda key: key.revoked)
    print(f"\nlistener killed: revoked after {took * 1000:.0f} ms")
    await until(lambda: catalog.status().listener_ok)


@pytest.fixture
async def listening_through(database_url):
    """A catalog that listens through a proxy and reads directly."""
    async with (
        FaultProxy(address_of(database_url)) as proxy,
        running(dsn_through(proxy, database_url), pool_dsn=database_url) as catalog,
    ):
        await until(lambda: catalog.status().listener_ok)
        yield catalog, proxy


@pytest.mark.parametrize("silence", ["swallows", "refuses"])
async def test_a_dead_listener_is_noticed_and_changes_arrive_anyhow(listening_through, pool, customer, silence):
    catalog, proxy = listening_through
    slug = await make_service(pool)
    await until(lambda: catalog.match(b"GET", f"/{slug}".encode()) is not None)
    assert not (await resolved(catalog.find_key(customer.key))).revoked
    if silence == "swallows":
        proxy.to_client.hold()
        proxy.to_server.hold()
    else:
        proxy.refuse = True
        proxy.reset_all()
    await pool.execute("update api_key set revoked_at = now() where id = $1", customer.key_id)
    await pool.execute("update service set enabled = false where slug = $1", slug)
    took = await asyncio.gather(
        until_key(catalog, customer.key, lambda key: key.revoked),
        until(lambda: not catalog.match(b"GET", f"/{slug}".encode()).service.enabled),
        until(lambda: not catalog.status().listener_ok),
    )
    print(f"\n{silence}: key {took[0]:.2f} s, service {took[1]:.2f} s, noticed {took[2]:.2f} s")
    assert catalog.status().database_ok
    proxy.refuse = False
    proxy.to_client.release()
    proxy.to_server.release()
    await until(lambda: catalog.status().listener_ok, 10)
    assert catalog.find_key(customer.key) is None or (await resolved(catalog.find_key(customer.key))).revoked


async def test_notifications_that_do_not_arrive_on_a_living_connection_are_missed(run_catalog, pool, customer):
    """As behind a pooler in transaction mode: the heartbeat goes through, LISTEN is lost."""
    catalog = await run_catalog()
    assert not (await resolved(catalog.find_key(customer.key))).revoked
    await catalog._listener._connection.execute("unlisten *")
    await pool.execute("update api_key set revoked_at = now() where id = $1", customer.key_id)
    took = await until_key(catalog, customer.key, lambda key: key.revoked)
    print(f"\ndeaf on a living connection: {took:.2f} s")
    assert catalog.status().listener_ok


@pytest.fixture
async def all_through(database_url):
    """A catalog for which the database can be taken away; its times are short."""
    async with (
        FaultProxy(address_of(database_url)) as proxy,
        running(dsn_through(proxy, database_url), cache_ttl_seconds=0.2, negative_ttl_seconds=0.2) as catalog,
    ):
        await until(lambda: catalog.status().listener_ok)
        yield catalog, proxy


async def test_without_the_database_known_keys_go_on_and_unknown_ones_are_not_decided(all_through, pool, customer):
    catalog, proxy = all_through
    cold = await make_key(pool, customer)
    assert not (await resolved(catalog.find_key(customer.key))).revoked
    proxy.refuse = True
    proxy.reset_all()
    await until(lambda: isawaitable(catalog.find_key(customer.key)) or not catalog.status().database_ok)
    assert (await resolved(catalog.find_key(customer.key))).id == customer.key_id
    await until(lambda: not catalog.status().database_ok)
    for _ in range(20):
        assert catalog.find_key(customer.key).id == customer.key_id
    for key in (cold, b"never seen"):
        with pytest.raises(CannotDecide):
            await resolved(catalog.find_key(key))
    await pool.execute("update api_key set revoked_at = now() where id = $1", customer.key_id)
    proxy.refuse = False
    took = await until_key(catalog, customer.key, lambda key: key.revoked)
    print(f"\ndatabase back: revoked after {took:.2f} s")
    assert (await resolved(catalog.find_key(cold))).organization_id == customer.organization_id


async def test_a_hung_database_delays_no_known_key(all_through, pool, customer):
    catalog, proxy = all_through
    await resolved(catalog.find_key(customer.key))
    proxy.to_client.hold()
    proxy.to_server.hold()
    async with asyncio.timeout(10):
        while catalog.status().database_ok or catalog.status().listener_ok:
            assert catalog.find_key(customer.key).id == customer.key_id  # and nothing to await
            await asyncio.sleep(0.01)
    for _ in range(20):
        assert catalog.find_key(customer.key).id == customer.key_id
    with pytest.raises(CannotDecide):
        await resolved(catalog.find_key(b"never seen"))
    proxy.to_client.release()
    proxy.to_server.release()
    await until(lambda: catalog.status().database_ok and catalog.status().listener_ok, 10)


async def test_a_key_does_not_outlive_the_outage_bound(database_url, customer):
    async with FaultProxy(address_of(database_url)) as proxy:
        dsn = dsn_through(proxy, database_url)
        async with running(dsn, cache_ttl_seconds=0.1, outage_ttl_seconds=0.5) as catalog:
            await resolved(catalog.find_key(customer.key))
            proxy.refuse = True
            proxy.reset_all()

            async def is_refused():
                try:
                    await resolved(catalog.find_key(customer.key))
                except CannotDecide:
                    return True
                return False

            loop = asyncio.get_running_loop()
            deadline = loop.time() + 3
            while not await is_refused():
                assert loop.time() < deadline
                await asyncio.sleep(0.01)


async def test_starting_without_the_database_decides_nothing_until_it_comes(database_url, pool):
    slug = await make_service(pool)
    async with FaultProxy(address_of(database_url)) as proxy:
        proxy.refuse = True
        async with running(dsn_through(proxy, database_url)) as catalog:
            assert not catalog.status().loaded
            with pytest.raises(CannotDecide):
                catalog.match(b"GET", f"/{slug}".encode())
            proxy.refuse = False
            await until(lambda: catalog.status().loaded and catalog.status().listener_ok, 10)
            assert catalog.match(b"GET", f"/{slug}".encode()) is not None


async def test_stopping_leaves_no_task_and_no_listener(database_url, pool, customer):
    before = asyncio.all_tasks()
    async with running(database_url) as catalog:
        await until(lambda: catalog.status().listener_ok)
        pending = asyncio.ensure_future(catalog.find_key(customer.key))
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await pending
    await until(lambda: asyncio.all_tasks() <= before)
