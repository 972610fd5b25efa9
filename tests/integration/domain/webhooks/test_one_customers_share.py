"""A customer with many endpoints that hang, or with a name server that never answers, keeps nobody else's webhooks waiting."""

import asyncio
import socket
import threading
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from domain.portal_settings import WebhookSettings
from domain.webhooks import addresses
from tests.deadlines import until
from tests.receivers import hang, receiving
from tests.webhook_tenants import OPEN, Tenant

SLOW = OPEN.model_copy(update={"timeout_seconds": 20})


@pytest.fixture
async def neighbour(tenant, pool) -> Tenant:
    """Another organization, which the first one's fixture has left alone."""
    row = await pool.fetchrow("select * from organization where id = $1", tenant.access.organization_id)
    made = await pool.fetchrow(
        "insert into organization (slug, name, state) values ($1, $1, 'active') returning id, slug, name",
        f"{row['slug']}-n",
    )
    access = replace(tenant.access, organization_id=made["id"], slug=made["slug"], name=made["name"])
    return Tenant(pool, access)


async def test_many_endpoints_that_hang_leave_room_for_others(tenant, neighbour):
    async with AsyncExitStack() as stack:
        hanging = [await stack.enter_async_context(receiving(hang)) for _ in range(8)]
        quick = await stack.enter_async_context(receiving())
        for one in hanging:
            await tenant.endpoint(one.url)
        await neighbour.endpoint(quick.url)
        for _ in range(10):
            await tenant.emit()
        task = asyncio.create_task(tenant.deliverer(SLOW).run())
        try:
            share = SLOW.concurrency // 2
            await until(lambda: sum(one.connections for one in hanging) >= share, 5, "the share is used")
            await neighbour.emit()
            await until(lambda: quick.received, 5, "the neighbour's event")
            assert sum(one.connections for one in hanging) == share
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_who_waits_behind_a_thousand_is_served_in_turn(tenant, neighbour):
    async with receiving() as loud, receiving() as quiet:
        await tenant.endpoint(loud.url)
        await neighbour.endpoint(quiet.url)
        for _ in range(200):
            await tenant.emit()
        await neighbour.emit()
        one = tenant.deliverer(WebhookSettings(allow_private=True, concurrency=2, timeout_seconds=5))
        task = asyncio.create_task(one.run())
        try:
            await until(lambda: quiet.received, 5, "the event of the quiet one")
            assert len(loud.received) < 20
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_name_that_never_answers_takes_one_thread_however_often_it_is_asked_for(monkeypatch):
    never, asked = threading.Event(), []

    def look_up(host, port, **_):
        asked.append(host)
        if host.startswith("slow"):
            never.wait(20)
        return [(2, 1, 6, "", ("192.0.2.7", port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(addresses, "RESOLVE_SECONDS", 0.5)
    slow = [asyncio.create_task(addresses.system_resolver("slow.example.com", 443)) for _ in range(40)]
    try:
        assert await addresses.system_resolver("quick.example.com", 443) == ["192.0.2.7"]
        outcomes = await asyncio.gather(*slow, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {TimeoutError}
        assert asked.count("slow.example.com") == 1
    finally:
        never.set()
    await until(lambda: not addresses._asked, 5, "nothing is asked for any more")
    assert await addresses.system_resolver("slow.example.com", 443) == ["192.0.2.7"]


async def test_as_many_are_under_way_as_the_setting_says(tenant):
    settings = OPEN.model_copy(update={"timeout_seconds": 20, "concurrency": 40})
    async with AsyncExitStack() as stack:
        hanging = [await stack.enter_async_context(receiving(hang)) for _ in range(6)]
        for one in hanging:
            await tenant.endpoint(one.url)
        for _ in range(4):
            await tenant.emit()
        task = asyncio.create_task(tenant.deliverer(settings).run())
        try:
            await until(lambda: sum(one.connections for one in hanging) == 20, 5, "half of forty are of one customer")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
