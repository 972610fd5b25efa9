"""Whatever changes the catalog, an operator's SQL included, says so with a growing generation."""

import asyncio
import json

import asyncpg
import pytest

QUIET = 0.2


@pytest.fixture
async def listening(fresh_database_url):
    """A connection to change with, and the queue of what a listener hears."""
    listener, connection = await asyncpg.connect(fresh_database_url), await asyncpg.connect(fresh_database_url)
    heard: asyncio.Queue[dict] = asyncio.Queue()
    await listener.add_listener("paid_endpoint_catalog", lambda *call: heard.put_nowait(json.loads(call[3])))
    yield connection, heard
    await connection.close()
    await listener.close()


async def hear(heard, count):
    return [await asyncio.wait_for(heard.get(), 5) for _ in range(count)]


async def silent(heard):
    try:
        return await asyncio.wait_for(heard.get(), QUIET)
    except TimeoutError:
        return None


async def make_key(connection):
    organization = await connection.fetchval("insert into organization (slug, name) values ('o', 'O') returning id")
    key = await connection.fetchval(
        "insert into api_key (organization_id, name, scheme, prefix, last4, digest)"
        " values ($1, 'k', 'sha256', '', '', sha256('x')) returning id",
        organization,
    )
    return organization, key


async def test_insert_update_and_delete_name_the_row_and_its_organization(listening):
    connection, heard = listening
    organization, key = await make_key(connection)
    await connection.execute("update api_key set revoked_at = now() where id = $1", key)
    await connection.execute("delete from api_key where id = $1", key)
    messages = await hear(heard, 4)
    assert [message["t"] for message in messages] == ["organization", "api_key", "api_key", "api_key"]
    assert [message["id"] for message in messages] == [str(organization), *[str(key)] * 3]
    assert {message["org"] for message in messages} == {str(organization)}
    generations = [message["g"] for message in messages]
    assert generations == sorted(set(generations))
    assert await connection.fetchval("select last_value from catalog_generation") == generations[-1]


async def test_last_use_and_changes_of_nothing_are_silent(listening):
    connection, heard = listening
    await make_key(connection)
    await hear(heard, 2)
    await connection.execute("update api_key set last_used_at = now()")
    await connection.execute("update organization set name = name")
    assert await silent(heard) is None
    await connection.execute("update api_key set last_used_at = now(), name = 'other'")
    assert [message["t"] for message in await hear(heard, 1)] == ["api_key"]


async def test_every_table_of_the_catalog_notifies_and_truncate_too(listening):
    connection, heard = listening
    organization, _ = await make_key(connection)
    plan = await connection.fetchval("insert into plan (slug, name) values ('p', 'P') returning id")
    await connection.execute(
        "insert into plan_limit (plan_id, name, amount, period) values ($1, 'hour', 1, 'hour')", plan
    )
    await connection.execute(
        "insert into subscription (organization_id, plan_id, period_start, period_end)"
        " values ($1, $2, now(), now() + interval '1 day')",
        organization,
        plan,
    )
    service = await connection.fetchval(
        "insert into service (slug, name, route_prefix, upstreams) values ('s', 'S', '/s', '[{}]') returning id"
    )
    await connection.execute(
        "insert into operation (service_id, name, method, path_pattern) values ($1, 'o', 'GET', '/')", service
    )
    messages = await hear(heard, 7)
    assert [message["t"] for message in messages] == (
        ["organization", "api_key", "plan", "plan_limit", "subscription", "service", "operation"]
    )
    assert messages[4]["org"] == str(organization)
    assert messages[2]["org"] is None
    await connection.execute("truncate api_key")
    assert [(message["t"], message["id"]) for message in await hear(heard, 1)] == [("api_key", None)]


async def test_a_row_that_moves_tells_both_organizations(listening):
    connection, heard = listening
    first, _ = await make_key(connection)
    second = await connection.fetchval("insert into organization (slug, name) values ('p', 'P') returning id")
    await hear(heard, 3)
    await connection.execute("update api_key set organization_id = $1", second)
    assert {message["org"] for message in await hear(heard, 2)} == {str(first), str(second)}


async def test_what_is_rolled_back_is_not_heard(listening):
    connection, heard = listening
    transaction = connection.transaction()
    await transaction.start()
    await make_key(connection)
    await transaction.rollback()
    assert await silent(heard) is None
