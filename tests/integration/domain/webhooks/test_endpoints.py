"""Endpoints: at most so many, of nobody else, secrets sealed and shown once."""

import asyncio
import base64
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.faults import Conflict, Forbidden, InvalidValue, NotFound
from domain.webhooks.delivery_reading import DeliveryFilter, fetch_delivery, list_deliveries
from domain.webhooks.emitting import emit
from domain.webhooks.endpoint_reading import fetch_endpoint, list_endpoints
from domain.webhooks.endpoints import (
    MOST_ENDPOINTS,
    change_endpoint,
    create_endpoint,
    delete_endpoint,
    rotate_secret,
)
from domain.webhooks.event_types import EVENT_TYPES, valid_event_types
from domain.webhooks.replaying import replay_delivery, send_test
from tests.webhook_tenants import ACTOR, SECRETS

URL = "http://127.0.0.1:9/hook"


async def test_g7_a_secret_is_whsec_of_32_bytes_and_stands_nowhere_in_clear(tenant):
    created = await tenant.endpoint(URL)
    raw = base64.b64decode(created.secret.removeprefix("whsec_"), validate=True)
    assert len(raw) == 32
    sealed = await tenant.pool.fetchval("select secret from webhook_endpoint where id = $1", created.record.id)
    assert raw not in sealed
    assert created.secret not in repr(created)
    assert created.secret not in str(await list_endpoints(tenant.pool, tenant.access))


async def test_twenty_endpoints_and_no_more_also_when_asked_for_at_once(tenant):
    made = await asyncio.gather(*(tenant.endpoint(URL) for _ in range(MOST_ENDPOINTS + 5)), return_exceptions=True)
    refused = [fault for fault in made if isinstance(fault, Exception)]
    assert len(refused) == 5
    assert all(isinstance(fault, Conflict) for fault in refused)
    gone = (await list_endpoints(tenant.pool, tenant.access))[0][0]
    async with tenant.pool.acquire() as connection:
        await delete_endpoint(connection, tenant.access, ACTOR, gone.id)
    await tenant.endpoint(URL)


async def test_a_change_touches_what_is_given_and_the_trail_says_what(tenant):
    record = (await tenant.endpoint(URL, description="one")).record
    async with tenant.pool.acquire() as connection:
        changed = await change_endpoint(
            connection, tenant.access, ACTOR, tenant.guard, record.id, event_types=["key.revoked", "key.created"]
        )
        off = await change_endpoint(connection, tenant.access, ACTOR, tenant.guard, record.id, enabled=False)
        on = await change_endpoint(connection, tenant.access, ACTOR, tenant.guard, record.id, enabled=True)
        await change_endpoint(connection, tenant.access, ACTOR, tenant.guard, record.id, enabled=True)
    assert (changed.url, changed.description, changed.event_types) == (URL, "one", ["key.created", "key.revoked"])
    assert (off.enabled, off.disabled_reason, on.enabled, on.disabled_reason) == (
        False,
        "Switched off by hand.",
        True,
        "",
    )
    rows = await tenant.pool.fetch(
        "select before, after from audit_entry where object_id = $1 and verb = 'webhook.change' order by created_at",
        str(record.id),
    )
    assert len(rows) == 3, "what changed nothing leaves no trace"
    assert [row["before"] for row in rows] == ['{"events": "all"}', '{"enabled": true}', '{"enabled": false}']


@pytest.mark.parametrize("fields", [{"event_types": ["key.stolen"]}, {"description": "x" * 501}, {"url": "nonsense"}])
async def test_values_that_are_none_are_refused(tenant, fields):
    with pytest.raises(InvalidValue):
        await tenant.endpoint(**{"url": URL, **fields})


async def test_who_may_not_build_may_look_and_not_change(tenant):
    record = (await tenant.endpoint(URL)).record
    viewer = replace(tenant.access, role="viewer")
    assert await list_endpoints(tenant.pool, viewer)
    async with tenant.pool.acquire() as connection:
        for attempt in (
            create_endpoint(connection, viewer, ACTOR, tenant.guard, SECRETS, url=URL),
            change_endpoint(connection, viewer, ACTOR, tenant.guard, record.id, enabled=False),
            rotate_secret(connection, viewer, ACTOR, SECRETS, record.id),
            delete_endpoint(connection, viewer, ACTOR, record.id),
            send_test(connection, viewer, ACTOR, record.id),
        ):
            with pytest.raises(Forbidden):
                await attempt


async def test_another_organizations_endpoints_and_deliveries_do_not_exist(tenant):
    record = (await tenant.endpoint(URL)).record
    await tenant.emit()
    [delivery] = await tenant.deliveries()
    stranger = replace(tenant.access, organization_id=uuid4())
    async with tenant.pool.acquire() as connection:
        for attempt in (
            fetch_endpoint(connection, stranger, record.id),
            change_endpoint(connection, stranger, ACTOR, tenant.guard, record.id, enabled=False),
            rotate_secret(connection, stranger, ACTOR, SECRETS, record.id),
            delete_endpoint(connection, stranger, ACTOR, record.id),
            send_test(connection, stranger, ACTOR, record.id),
            fetch_delivery(connection, stranger, delivery["id"]),
            replay_delivery(connection, stranger, ACTOR, delivery["id"]),
        ):
            with pytest.raises(NotFound):
                await attempt
        assert (await list_deliveries(connection, stranger, DeliveryFilter(endpoint_id=record.id)))[0] == []
        await emit(connection, stranger.organization_id, "key.created", {})
    assert len(await tenant.deliveries()) == 1, "events of one organization go to its own endpoints"


async def test_a_replay_is_a_new_delivery_of_the_same_event_and_only_one_waits(tenant):
    await tenant.endpoint(URL)
    event_id = await tenant.emit()
    [first] = await tenant.deliveries()
    async with tenant.pool.acquire() as connection:
        with pytest.raises(Conflict, match="already waits"):
            await replay_delivery(connection, tenant.access, ACTOR, first["id"])
        await connection.execute("update webhook_delivery set state = 'failed' where id = $1", first["id"])
        again = await replay_delivery(connection, tenant.access, ACTOR, first["id"])
    assert again.record.id != first["id"]
    assert again.record.event_id == event_id
    assert again.record.attempts == 0


async def test_a_test_event_goes_to_its_endpoint_alone_and_waits_once(tenant):
    one, _ = (await tenant.endpoint(URL, event_types=["key.created"])).record, await tenant.endpoint(URL)
    async with tenant.pool.acquire() as connection:
        sent = await send_test(connection, tenant.access, ACTOR, one.id)
        with pytest.raises(Conflict, match="already waits"):
            await send_test(connection, tenant.access, ACTOR, one.id)
        await change_endpoint(connection, tenant.access, ACTOR, tenant.guard, one.id, enabled=False)
        with pytest.raises(Conflict, match="switched off"):
            await send_test(connection, tenant.access, ACTOR, one.id)
    assert sent.record.event_type == "webhook.test"
    assert [row["endpoint_id"] for row in await tenant.deliveries()] == [one.id]


async def test_deliveries_are_paged_newest_first_without_gap_or_repeat(tenant):
    await tenant.endpoint(URL)
    for _ in range(7):
        await tenant.emit()
    await tenant.emit("key.revoked")
    seen, cursor = [], None
    while True:
        page, cursor = await list_deliveries(
            tenant.pool, tenant.access, DeliveryFilter(event_type="key.created"), cursor=cursor, limit=3
        )
        seen += [record.id for record in page]
        if cursor is None:
            break
    expected = [row["id"] for row in reversed(await tenant.deliveries())][1:]
    assert seen == expected


async def test_an_overlap_is_at_most_a_week(tenant):
    record = (await tenant.endpoint(URL)).record
    async with tenant.pool.acquire() as connection:
        for overlap in (timedelta(days=8), timedelta(seconds=-1)):
            with pytest.raises(InvalidValue):
                await rotate_secret(connection, tenant.access, ACTOR, SECRETS, record.id, overlap=overlap)


def test_event_names_are_in_the_order_of_the_list_and_each_once():
    assert valid_event_types(["key.revoked", "key.created", "key.revoked"]) == ["key.created", "key.revoked"]
    assert len({event_type.name for event_type in EVENT_TYPES}) == len(EVENT_TYPES)
