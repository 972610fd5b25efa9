"""What is sent when: signatures, the schedule, receivers that misbehave, processes that die."""

import asyncio
import gzip
import json
from datetime import timedelta

import pytest
from standardwebhooks import WebhookVerificationError

from domain.webhooks.claiming import LEASE, claim_due, settle
from domain.webhooks.emitting import emit
from domain.webhooks.endpoints import change_endpoint, delete_endpoint, rotate_secret
from domain.webhooks.schedule import MOST_ATTEMPTS, PAUSES, SPREAD
from domain.webhooks.sending import EXCERPT_BYTES, Outcome
from domain.webhooks.switching_off import Teller
from tests.deadlines import until
from tests.receivers import OK, answer_of, answering, drip, flood, hang, receiving
from tests.webhook_tenants import ACTOR, PORTAL, SECRETS


async def test_an_event_arrives_signed_as_another_implementation_expects(tenant):
    async with receiving() as receiver:
        created = await tenant.endpoint(receiver.url)
        event_id = await tenant.emit("key.created", id="k1", name="na\u00efve \u2603")
        assert await tenant.deliverer().deliver_due() == 1
    [received] = receiver.received
    assert received.line == "POST /hook?of=test HTTP/1.1"
    assert received.verify(created.secret)["data"] == {"id": "k1", "name": "na\u00efve \u2603"}
    assert received.headers["webhook-id"] == str(event_id)
    assert received.headers["content-type"] == "application/json"
    [row] = await tenant.deliveries()
    assert (row["state"], row["response_status"], row["response_excerpt"], row["attempts"]) == (
        "delivered",
        200,
        "ok",
        1,
    )
    stored = await tenant.pool.fetchval("select payload::text from webhook_event where id = $1", event_id)
    assert received.body == stored.encode()


async def test_a_signature_of_another_endpoints_secret_is_not_taken(tenant):
    async with receiving() as receiver:
        await tenant.endpoint(receiver.url)
        other = await tenant.endpoint(receiver.url, event_types=["member.joined"])
        await tenant.emit()
        await tenant.deliverer().deliver_due()
    with pytest.raises(WebhookVerificationError):
        receiver.received[0].verify(other.secret)


async def test_while_secrets_overlap_both_sign_and_afterwards_only_the_new_one(tenant):
    async with receiving() as receiver:
        old = await tenant.endpoint(receiver.url)
        async with tenant.pool.acquire() as connection:
            new = await rotate_secret(
                connection, tenant.access, ACTOR, SECRETS, old.record.id, overlap=timedelta(hours=1)
            )
        assert new.secret != old.secret
        await tenant.emit()
        await tenant.deliverer().deliver_due()
        tenant.clock.ahead = timedelta(hours=1, minutes=1)
        await tenant.emit()
        await tenant.deliverer().deliver_due()
    during, after = receiver.received
    assert during.verify(old.secret)
    assert during.verify(new.secret)
    assert len(during.headers["webhook-signature"].split(" ")) == 2
    assert after.verify(new.secret)
    with pytest.raises(WebhookVerificationError):
        after.verify(old.secret)


async def test_a_rotation_without_overlap_ends_the_old_secret_at_once(tenant):
    async with receiving() as receiver:
        old = await tenant.endpoint(receiver.url)
        async with tenant.pool.acquire() as connection:
            await rotate_secret(connection, tenant.access, ACTOR, SECRETS, old.record.id, overlap=timedelta())
        await tenant.emit()
        await tenant.deliverer().deliver_due()
    with pytest.raises(WebhookVerificationError):
        receiver.received[0].verify(old.secret)


async def test_only_what_was_subscribed_to_is_sent_and_nothing_of_a_transaction_that_failed(tenant):
    async with receiving() as receiver:
        await tenant.endpoint(receiver.url, event_types=["key.revoked"])
        await tenant.emit("key.created")
        await tenant.emit("key.revoked")
        async with tenant.pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await emit(connection, tenant.access.organization_id, "key.revoked", {})
            await transaction.rollback()
        await tenant.deliverer().deliver_due()
    assert [json.loads(each.body)["type"] for each in receiver.received] == ["key.revoked"]


async def test_ten_attempts_follow_the_schedule_under_one_id_then_the_endpoint_is_switched_off(tenant):
    async with receiving(answering(answer_of(503, b"later"))) as receiver:
        endpoint = await tenant.endpoint(receiver.url)
        await tenant.emit()
        for pause in PAUSES:
            assert await tenant.deliverer().deliver_due() == 1
            [row] = await tenant.deliveries()
            assert row["state"] == "waiting"
            wait = row["due_at"] - tenant.clock()
            assert pause - timedelta(seconds=2) <= wait <= pause * (1 + SPREAD)
            assert await tenant.deliverer().deliver_due() == 0, "not before it is due"
            tenant.clock.ahead += wait + timedelta(milliseconds=50)
        assert await tenant.deliverer().deliver_due() == 1
    [row] = await tenant.deliveries()
    assert (row["state"], row["attempts"], row["response_status"]) == ("failed", MOST_ATTEMPTS, 503)
    assert "503" in row["last_error"]
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 1
    assert len(receiver.received) == MOST_ATTEMPTS == 10
    reason = await tenant.pool.fetchval(
        "select disabled_reason from webhook_endpoint where id = $1 and disabled_at is not null", endpoint.record.id
    )
    assert "10 attempts" in reason


async def test_one_that_delivers_other_events_meanwhile_stays_on(tenant):
    async with receiving(answering(*[answer_of(500)] * 10, OK)) as receiver:
        endpoint = await tenant.endpoint(receiver.url)
        await tenant.emit()
        for pause in PAUSES:
            await tenant.deliverer().deliver_due()
            tenant.clock.ahead += pause * (1 + SPREAD)
        await tenant.pool.execute(
            "insert into webhook_delivery (event_id, endpoint_id, organization_id, state, ended_at)"
            " select event_id, endpoint_id, organization_id, 'delivered', now() from webhook_delivery"
            " where endpoint_id = $1",
            endpoint.record.id,
        )
        await tenant.deliverer().deliver_due()
    states = sorted(row["state"] for row in await tenant.deliveries())
    assert states == ["delivered", "failed"]
    assert await tenant.pool.fetchval(
        "select disabled_at is null from webhook_endpoint where id = $1", endpoint.record.id
    )


async def test_410_switches_the_endpoint_off_and_gives_up_what_waits(tenant):
    async with receiving(answering(answer_of(410, b"go away"))) as receiver:
        endpoint = await tenant.endpoint(receiver.url)
        await tenant.emit()
        await tenant.deliverer().deliver_due()
        await tenant.emit()
    row = await tenant.pool.fetchrow("select * from webhook_endpoint where id = $1", endpoint.record.id)
    assert row["disabled_at"] is not None
    assert "410" in row["disabled_reason"]
    assert [row["state"] for row in await tenant.deliveries()] == ["failed"], "the second event was for nobody"


@pytest.mark.parametrize(
    ("behaviour", "status", "said"),
    [
        (hang, None, "within 0.4 seconds"),
        (drip, None, "within 0.4 seconds"),
        (answering(b""), None, "connection broke"),
        (answering(b"HTTP/1.1 200"), None, "connection broke"),
        (answering(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), None, "connection broke"),
        (answering(b"HTTP/1.1 200 OK\r\n" + b"x-pad: " + b"p" * 300_000 + b"\r\n\r\n"), None, "connection broke"),
        (answering(answer_of(302, b"", "location: http://169.254.169.254/latest")), 302, "Redirects are not followed"),
        (answering(answer_of(307, b"", "location: http://127.0.0.1:1/")), 307, "Redirects are not followed"),
        (answering(answer_of(404, b"nothing here")), 404, "404"),
        (flood, 500, "500"),
    ],
    ids=["hangs", "drips", "closes", "cuts", "other-protocol", "huge-head", "302", "307", "404", "endless-body"],
)
async def test_a_receiver_that_misbehaves_is_tried_again(tenant, behaviour, status, said):
    async with receiving(behaviour) as receiver:
        await tenant.endpoint(receiver.url)
        await tenant.emit()
        began = asyncio.get_running_loop().time()
        await tenant.deliverer().deliver_due()
        assert asyncio.get_running_loop().time() - began < 3
    [row] = await tenant.deliveries()
    assert (row["state"], row["attempts"], row["response_status"]) == ("waiting", 1, status)
    assert said in row["last_error"]
    assert len(row["response_excerpt"]) <= EXCERPT_BYTES
    assert receiver.connections == 1, "a redirect is not followed, a failure not repeated at once"


async def test_a_status_of_2xx_counts_even_if_the_body_is_cut_or_hostile(tenant):
    async with receiving(answering(b"HTTP/1.1 202 OK\r\ncontent-length: 99\r\n\r\nhalf \x00\xff <script>")) as receiver:
        await tenant.endpoint(receiver.url)
        await tenant.emit()
        await tenant.deliverer().deliver_due()
    [row] = await tenant.deliveries()
    assert (row["state"], row["response_status"], row["last_error"]) == ("delivered", 202, "")


async def test_a_packed_answer_is_not_unpacked(tenant):
    packed = gzip.compress(b"0" * 50_000_000)
    async with receiving(answering(answer_of(500, packed, "content-encoding: gzip"))) as receiver:
        await tenant.endpoint(receiver.url)
        await tenant.emit()
        await tenant.deliverer().deliver_due()
    [row] = await tenant.deliveries()
    assert len(row["response_excerpt"]) <= EXCERPT_BYTES
    assert "0000000000" not in row["response_excerpt"]


async def test_nobody_listening_is_told_as_such(tenant):
    async with receiving() as receiver:
        url = receiver.url
    await tenant.endpoint(url)
    await tenant.emit()
    await tenant.deliverer().deliver_due()
    [row] = await tenant.deliveries()
    assert "No connection could be made" in row["last_error"]


async def test_one_that_hangs_does_not_keep_the_others_waiting(tenant):
    async with receiving(hang) as hanging, receiving() as quick:
        await tenant.endpoint(hanging.url, event_types=["key.created"])
        await tenant.endpoint(quick.url, event_types=["key.revoked"])
        for _ in range(30):
            await tenant.emit("key.created")
        await tenant.emit("key.revoked")
        task = asyncio.create_task(
            tenant.deliverer(tenant.guard.settings.model_copy(update={"timeout_seconds": 20})).run()
        )
        try:
            await until(lambda: quick.received, 5, "the event of the quick one")
            assert hanging.connections <= 8
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_two_processes_at_once_send_each_event_once(tenant):
    async with receiving() as receiver:
        await tenant.endpoint(receiver.url)
        ids = {str(await tenant.emit()) for _ in range(40)}
        await asyncio.gather(tenant.deliverer().deliver_due(), tenant.deliverer().deliver_due())
    sent = [each.headers["webhook-id"] for each in receiver.received]
    assert len(sent) == 40
    assert set(sent) == ids


async def test_a_process_that_is_killed_in_the_middle_loses_only_time(tenant):
    async with receiving() as receiver:
        await tenant.endpoint(receiver.url)
        await tenant.emit()
        async with tenant.pool.acquire() as connection:
            [dead] = await claim_due(connection, tenant.clock(), most=10)
        assert await tenant.deliverer().deliver_due() == 0, "it is leased"
        tenant.clock.ahead = LEASE + timedelta(seconds=1)
        assert await tenant.deliverer().deliver_due() == 1
        async with tenant.pool.acquire() as connection:
            await settle(connection, dead, Outcome(500, "", 1, "late"), tenant.clock(), Teller(SECRETS, PORTAL))
    [row] = await tenant.deliveries()
    assert (row["state"], row["attempts"], row["last_error"]) == ("delivered", 2, ""), (
        "the dead one's word is not taken"
    )


async def test_switching_off_or_deleting_gives_up_what_waits_and_an_overtaken_event_is_not_sent(tenant):
    async with receiving() as receiver:
        one, two = await tenant.endpoint(receiver.url), await tenant.endpoint(receiver.url)
        await tenant.emit()
        async with tenant.pool.acquire() as connection:
            await change_endpoint(connection, tenant.access, ACTOR, tenant.guard, one.record.id, enabled=False)
            await delete_endpoint(connection, tenant.access, ACTOR, two.record.id)
        # An event whose transaction saw the endpoint on, and committed after it was switched off.
        await tenant.pool.execute(
            "update webhook_delivery set state = 'waiting', ended_at = null where endpoint_id = $1", one.record.id
        )
        await tenant.deliverer().deliver_due()
    assert receiver.connections == 0
    assert {row["state"] for row in await tenant.deliveries()} == {"failed"}


async def test_a_secret_that_cannot_be_opened_is_told_and_tried_again(tenant):
    async with receiving() as receiver:
        one, two = await tenant.endpoint(receiver.url), await tenant.endpoint(receiver.url)
        await tenant.pool.execute(
            "update webhook_endpoint set secret = (select secret from webhook_endpoint where id = $2) where id = $1",
            one.record.id,
            two.record.id,
        )
        await tenant.emit()
        await tenant.deliverer().deliver_due()
    assert receiver.connections == 1, "a14: a secret of another row does not open"
    failed = [row for row in await tenant.deliveries() if row["state"] == "waiting"]
    assert "SECRET_KEYS" in failed[0]["last_error"]
