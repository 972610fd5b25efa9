"""What the product's own changes tell: the data has the members of the example in the event reference."""

import json
from datetime import timedelta

from domain import keys
from domain.credits.granting import grant
from domain.subscriptions import cancel
from domain.webhooks import announcing
from domain.webhooks.event_types import BY_NAME
from tests.gateways import key_settings

URL = "http://127.0.0.1:9/hook"


async def told(tenant) -> list[dict]:
    """The events of the organization, oldest first."""
    rows = await tenant.pool.fetch(
        "select payload from webhook_event where organization_id = $1 order by created_at",
        tenant.access.organization_id,
    )
    return [json.loads(row["payload"]) for row in rows]


async def test_keys_tell_when_they_are_created_rotated_and_revoked_once_and_never_a_secret(tenant):
    await tenant.endpoint(URL)
    here = tenant.access.organization_id
    async with tenant.pool.acquire() as connection:
        made = await keys.create(connection, key_settings(), organization_id=here, name="CI")
        new = await keys.rotate(
            connection, key_settings(), made.record.id, organization_id=here, overlap=timedelta(hours=1)
        )
        for _ in range(2):
            await keys.revoke(connection, new.record.id, organization_id=here, reason="left")
    events = await told(tenant)
    assert [event["type"] for event in events] == ["key.created", "key.rotated", "key.revoked"]
    for event in events:
        assert event["data"].keys() == BY_NAME[event["type"]].example.keys()
    assert events[1]["data"]["replaces"] == str(made.record.id)
    text = json.dumps(events)
    assert made.plaintext not in text
    assert new.plaintext not in text


async def test_subscriptions_and_credits_tell(tenant):
    await tenant.endpoint(URL)
    async with tenant.pool.acquire() as connection:
        await cancel(connection, tenant.access.organization_id)
        await cancel(connection, tenant.access.organization_id)
        for _ in range(2):
            await grant(
                connection, tenant.access.organization_id, amount_micro=2_500_000, reason="x", idempotency_key="one"
            )
    changed, granted = await told(tenant)
    assert changed["type"] == "subscription.changed"
    assert changed["data"].keys() == BY_NAME["subscription.changed"].example.keys()
    assert changed["data"]["cancel_at"] == changed["data"]["period_end"]
    assert (granted["type"], granted["data"]) == (
        "credits.granted",
        {"kind": "bonus", "credits": "2.5", "expires_at": None},
    )


async def test_members_tell(tenant):
    await tenant.endpoint(URL)
    member = {"user_id": 1, "email": "a@example.com", "role": "viewer"}
    await announcing.member_joined(tenant.pool, tenant.access.organization_id, **member)
    await announcing.member_removed(tenant.pool, tenant.access.organization_id, **member)
    assert [event["data"] for event in await told(tenant)] == [member, member]


async def test_where_nobody_listens_nothing_is_kept(tenant):
    await tenant.emit()
    assert await told(tenant) == []
