"""The mail that tells of an endpoint that was switched off: to whom, once each time, with the switching off or not at all."""

from datetime import timedelta

import pytest

from domain.mail_texts import render
from domain.outbox import values_of
from domain.webhooks.endpoints import change_endpoint
from domain.webhooks.schedule import PAUSES, SPREAD
from tests.receivers import answer_of, answering, receiving
from tests.webhook_tenants import ACTOR, PORTAL, SECRETS


@pytest.fixture
async def members(tenant):
    """Addresses of one member of each role, by role."""
    made = {}
    for role in ("owner", "admin", "developer", "billing", "viewer"):
        made[role] = f"{role}-{tenant.access.slug}@example.com"
        user_id = await tenant.pool.fetchval(
            "insert into users (username, email, password, active, email_verified_at) values ($1, $1, 'x', true, now())"
            " returning id",
            made[role],
        )
        await tenant.pool.execute(
            "insert into membership (organization_id, user_id, role) values ($1, $2, $3)",
            tenant.access.organization_id,
            user_id,
            role,
        )
    return made


async def mails(tenant) -> list:
    """Reader and mail of each that tells of it to somebody of this organization, by reader."""
    rows = await tenant.pool.fetch(
        "select * from outbox_message where template = 'webhook_off' and recipient like $1 order by recipient, created_at",
        f"%-{tenant.access.slug}@example.com",
    )
    always = {"product": "paid-endpoint", "base_url": PORTAL}
    return [
        (row["recipient"], render(row["template"], {**values_of(SECRETS, row["id"], row["content"]), **always}))
        for row in rows
    ]


async def gone(tenant, *, events: int = 1) -> None:
    for _ in range(events):
        await tenant.emit()
    await tenant.deliverer().deliver_due()


async def test_owners_and_admins_are_told_once_of_each_410(tenant, members):
    async with receiving(answering(answer_of(410, b"go away"))) as receiver:
        endpoint = await tenant.endpoint(receiver.url)
        await gone(tenant, events=3)
        told = await mails(tenant)
        assert [reader for reader, _ in told] == [members["admin"], members["owner"]]
        mail = told[0][1]
        assert tenant.access.name in mail.subject
        for words in (receiver.url, "410 Gone", f"{PORTAL}/o/{tenant.access.slug}/webhooks/{endpoint.record.id}"):
            assert words in mail.text
            assert words in mail.html
        await gone(tenant)
        assert len(await mails(tenant)) == 2, "it is off"
        async with tenant.pool.acquire() as connection, connection.transaction():
            await change_endpoint(connection, tenant.access, ACTOR, tenant.guard, endpoint.record.id, enabled=True)
        await gone(tenant)
        assert len(await mails(tenant)) == 4, "switched on and off again"


async def test_they_are_told_after_ten_failed_attempts_and_not_before(tenant, members):
    async with receiving(answering(answer_of(503, b"later"))) as receiver:
        await tenant.endpoint(receiver.url)
        await tenant.emit()
        for pause in PAUSES:
            await tenant.deliverer().deliver_due()
            tenant.clock.ahead += pause * (1 + SPREAD) + timedelta(seconds=1)
        assert await mails(tenant) == []
        await tenant.deliverer().deliver_due()
    assert [reader for reader, _ in await mails(tenant)] == [members["admin"], members["owner"]]
    assert "10 attempts" in (await mails(tenant))[0][1].text


async def test_what_members_switch_off_themselves_is_told_to_nobody(tenant, members):
    async with receiving() as receiver:
        endpoint = await tenant.endpoint(receiver.url)
        async with tenant.pool.acquire() as connection, connection.transaction():
            await change_endpoint(connection, tenant.access, ACTOR, tenant.guard, endpoint.record.id, enabled=False)
        await gone(tenant)
    assert await mails(tenant) == []
