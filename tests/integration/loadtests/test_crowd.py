"""A crowd that was written by COPY is what the product itself would have made: the gateway's reader takes its keys."""

import hashlib

import asyncpg
import pytest

from domain.catalog.changes import CHANNEL
from domain.catalog.key_reading import read_key
from domain.catalog.reading import read_tables
from domain.databases import open_pool
from domain.limit_texts import parse_limits
from domain.plans import create
from domain.settings import DatabaseSettings
from loadtests.crowd import Crowd, settle

CROWD = Crowd(keys=200, organizations=20, operations=40, seed="t" * 26)
PEPPER = bytes(32)


@pytest.fixture
async def settled(fresh_database_url):
    heard = []
    connection = await asyncpg.connect(fresh_database_url)
    await connection.add_listener(CHANNEL, lambda *change: heard.append(change))
    await create(connection, slug="crowd", limits=parse_limits(["1000/hour"]))
    heard.clear()
    await settle(connection, CROWD, "crowd", "http://127.0.0.1:9", PEPPER)
    await connection.execute("select 1")
    yield fresh_database_url, connection, heard
    await connection.close()


async def test_every_key_is_found_with_its_organization_and_plan(settled):
    url, _, _ = settled
    async with await open_pool(DatabaseSettings(url=url), application_name="crowd") as pool:
        for number in (0, 19, 20, 199):
            presented = CROWD.plaintext(number).encode()
            key = await read_key(pool, {1: PEPPER}, presented, hashlib.sha256(presented).digest())
            assert key is not None
            assert (key.organization_slug, key.plan_slug, key.revoked) == (f"crowd-{number % 20}", "crowd", False)


async def test_operations_are_matched_by_their_paths(settled):
    _, connection, _ = settled
    routes = (await read_tables(connection)).routes
    found = [routes.match(b"GET", CROWD.path(number, 7).encode()) for number in range(CROWD.operations)]
    assert [match.operation.name for match in found] == [f"operation {number}" for number in range(CROWD.operations)]


async def test_nobody_is_notified_of_a_crowd_and_triggers_are_on_again(settled):
    _, connection, heard = settled
    assert await connection.fetchval("show session_replication_role") == "origin"
    assert len(heard) <= 2  # the plan and its limit, which were made the ordinary way
