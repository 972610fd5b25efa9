"""Actions that send: webhook events once more, and a mail to oneself on the way that every mail takes."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain.mailing import Mailer
from tests.audited import written
from tests.mailboxes import mails_to

NOW = datetime.now(UTC).replace(second=0, microsecond=0)


async def _endpoint(office, organization):
    return await office.pool.fetchval(
        "insert into webhook_endpoint (organization_id, url, secret) values ($1, 'https://example.com/hook', 'x')"
        " returning id",
        organization.id,
    )


async def _event(office, organization, endpoint_id, state, *, hours=1, kind="key.created"):
    """An event and its delivery that ended, or waits, so many hours ago; the delivery's id and the event's."""
    at = NOW - timedelta(hours=hours)
    event_id = await office.pool.fetchval(
        "insert into webhook_event (organization_id, type, payload, created_at) values ($1, $2, '{}', $3) returning id",
        organization.id,
        kind,
        at,
    )
    delivery_id = await office.pool.fetchval(
        "insert into webhook_delivery (event_id, endpoint_id, organization_id, state, created_at, attempts, ended_at,"
        " last_error) values ($1, $2, $3, $4, $5::timestamptz, 10, case when $4 <> 'waiting' then $5::timestamptz end, 'It answered 500')"
        " returning id",
        event_id,
        endpoint_id,
        organization.id,
        state,
        at,
    )
    return delivery_id, event_id


async def _waiting(office, endpoint_id):
    rows = await office.pool.fetch(
        "select event_id from webhook_delivery where endpoint_id = $1 and state = 'waiting'", endpoint_id
    )
    return sorted(row["event_id"] for row in rows)


async def test_a_failed_delivery_is_made_again_once(office, superuser):
    organization = await office.organization()
    endpoint_id = await _endpoint(office, organization)
    delivery_id, event_id = await _event(office, organization, endpoint_id, "failed")
    seen = await superuser.browser.preview("replay-delivery", delivery=str(delivery_id))
    assert "goes to https://example.com/hook" in seen.text
    assert "is failed after 10 attempts; the last attempt met: It answered 500." in seen.text
    form = await superuser.browser.look("replay-delivery", delivery=str(delivery_id))
    done = await superuser.browser.act("replay-delivery", "receiver is back", delivery=str(delivery_id))
    assert done.status_code == 200, done.text
    assert await _waiting(office, endpoint_id) == [event_id]
    late = await superuser.browser.post("/actions/replay-delivery", {**form, "reason": "again"})
    assert (late.status_code, "already waits" in late.text) == (409, True)
    made = await office.pool.fetchval(
        "select id from webhook_delivery where endpoint_id = $1 and state = 'waiting'", endpoint_id
    )
    [entry] = await written(office, made)
    assert (entry.verb, entry.after["event_id"], entry.reason) == ("webhook.replay", str(event_id), "receiver is back")


async def test_what_was_delivered_is_replayed_with_a_warning(office, superuser):
    organization = await office.organization()
    delivery_id, _ = await _event(office, organization, await _endpoint(office, organization), "delivered")
    seen = await superuser.browser.preview("replay-delivery", delivery=str(delivery_id))
    assert "the receiver gets it twice" in seen.text


@pytest.mark.parametrize("column", ["disabled_at", "deleted_at"])
async def test_nothing_is_sent_to_an_endpoint_that_is_off(office, superuser, column):
    organization = await office.organization()
    endpoint_id = await _endpoint(office, organization)
    delivery_id, _ = await _event(office, organization, endpoint_id, "failed")
    form = await superuser.browser.look("replay-delivery", delivery=str(delivery_id))
    await office.pool.execute(f"update webhook_endpoint set {column} = now() where id = $1", endpoint_id)
    since = f"{NOW - timedelta(days=1):%Y-%m-%dT%H:%M}"
    for answer in (
        await superuser.browser.post("/actions/replay-delivery", {**form, "reason": "late"}),
        await superuser.browser.act("replay-failed-deliveries", endpoint=str(endpoint_id), since=since),
    ):
        assert (answer.status_code, "is switched off or deleted" in answer.text) == (409, True)
    assert await _waiting(office, endpoint_id) == []


async def test_all_that_failed_since_a_moment_goes_again_and_what_came_through_does_not(office, superuser):
    organization = await office.organization()
    endpoint_id, other_id = await _endpoint(office, organization), await _endpoint(office, organization)
    failed = [(await _event(office, organization, endpoint_id, "failed", hours=hours))[1] for hours in (1, 2, 3)]
    kind = (await _event(office, organization, endpoint_id, "failed", kind="key.revoked"))[1]
    await _event(office, organization, endpoint_id, "failed", hours=30)
    await _event(office, organization, endpoint_id, "delivered")
    await _event(office, organization, other_id, "failed")
    _, recovered = await _event(office, organization, endpoint_id, "failed")
    await office.pool.execute(
        "insert into webhook_delivery (event_id, endpoint_id, organization_id, state, ended_at)"
        " values ($1, $2, $3, 'delivered', now())",
        recovered,
        endpoint_id,
        organization.id,
    )
    values = {"endpoint": str(endpoint_id), "since": f"{NOW - timedelta(hours=24):%Y-%m-%dT%H:%M}"}
    seen = await superuser.browser.preview("replay-failed-deliveries", **values)
    assert "4 events go to https://example.com/hook" in seen.text
    assert "<td>Waiting key.created</td><td>0</td><td><strong>3</strong></td>" in seen.text
    forms = [await superuser.browser.look("replay-failed-deliveries", **values) for _ in range(3)]
    answers = await asyncio.gather(
        *(superuser.browser.post("/actions/replay-failed-deliveries", {**form, "reason": "outage"}) for form in forms)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert await _waiting(office, endpoint_id) == sorted([*failed, kind])
    assert await _waiting(office, other_id) == []
    [entry] = await written(office, endpoint_id)
    assert (entry.verb, entry.after["events"], entry.reason) == ("webhook.replay", 4, "outage")
    again = await superuser.browser.act("replay-failed-deliveries", **values)
    assert (again.status_code, "is left that failed since" in again.text) == (409, True)


@pytest.mark.parametrize("slug", ["replay-delivery", "replay-failed-deliveries"])
async def test_what_is_not_there_is_not_replayed(superuser, slug):
    values = (
        {"delivery": str(uuid4())} if slug == "replay-delivery" else {"endpoint": str(uuid4()), "since": "2026-11-01"}
    )
    assert (await superuser.browser.act(slug, **values)).status_code == 404


async def test_a_test_mail_goes_the_way_of_all_mails_and_the_page_says_what_came_of_it(office, superuser):
    seen = await superuser.browser.preview("send-test-mail")
    assert f"A test mail goes to {superuser.email}, through the outbox" in seen.text
    done = await superuser.browser.act("send-test-mail", "after the move")
    assert done.status_code == 200, done.text
    path = "/mails/" + done.text.split('href="/mails/')[1].split('"')[0]
    assert [template for template, _ in await mails_to(office, superuser.email)] == ["test_mail"]
    assert "It waits to be sent." in (await superuser.browser.get(path)).text
    while await Mailer(office.pool, office.settings).deliver_due():
        pass
    assert "It was handed over" in (await superuser.browser.get(path)).text
    folder = office.settings.mail.folder
    message_id = path.removeprefix("/mails/")
    [file] = folder.glob(f"*{message_id}.eml")
    assert f"To: {superuser.email}" in file.read_text()
    [entry] = await written(office, message_id)
    assert (entry.verb, entry.reason) == ("mail.test", "after the move")


async def test_a_mail_server_that_refuses_is_told_in_its_words(office, superuser):
    done = await superuser.browser.act("send-test-mail")
    path = "/mails/" + done.text.split('href="/mails/')[1].split('"')[0]
    await office.pool.execute(
        "update outbox_message set attempts = 1, last_error = '550 no such user here', due_at = now() + interval '1 hour'"
        " where id = $1",
        path.removeprefix("/mails/"),
    )
    page = await superuser.browser.get(path)
    assert "Attempt 1 met: 550 no such user here" in page.text
    await office.pool.execute(
        "update outbox_message set state = 'failed', ended_at = now() where id = $1", path.removeprefix("/mails/")
    )
    assert "It was given up" in (await superuser.browser.get(path)).text


async def test_a_mail_that_is_none_and_a_role_that_may_not_look(office, superuser):
    for path in (f"/mails/{uuid4()}", "/mails/none"):
        assert (await superuser.browser.get(path)).status_code == 404
    analyst = await office.operator("analyst")
    assert (await analyst.browser.get(f"/mails/{uuid4()}")).status_code == 403
