"""The pages of webhooks, as a person uses them."""

import asyncio
import html
import json
import re
from copy import copy

import pytest

from domain.audit import Actor
from domain.team import remove_member
from domain.webhooks import deliverer
from domain.webhooks.deliverer import Deliverer
from domain.webhooks.event_types import EVENT_TYPES
from portal.webhook_delivery import deliver_webhooks
from tests.deadlines import until
from tests.portals import running_portal
from tests.receivers import answering, receiving

URL = "https://example.com/hook"
SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{20,}")
EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


async def make(person, **fields) -> str:
    """A new endpoint by the form; where its page is."""
    answer = await person.browser.post(f"{person.root}/webhooks/new", {"url": URL, **fields})
    assert answer.status_code == 200, answer.text
    return re.search(rf"{person.root}/webhooks/[0-9a-f-]{{36}}", answer.text)[0]


def deliverer_of(portal) -> Deliverer:
    settings = portal.settings
    return Deliverer(portal.pool, settings.webhooks, settings.secrets, portal_url=settings.portal.base_url)


async def deliver(portal) -> None:
    await deliverer_of(portal).deliver_due()


async def test_an_empty_list_says_what_webhooks_are_for(owner):
    page = await owner.browser.get(f"{owner.root}/webhooks")
    assert page.status_code == 200
    assert "No webhook endpoints yet" in page.text


async def test_g7_the_secret_is_on_the_page_after_creating_and_after_rotating_and_nowhere_else(portal, owner):
    created = await owner.browser.post(f"{owner.root}/webhooks/new", {"url": URL, "description": "Billing"})
    [first] = {html.unescape(found) for found in SECRET.findall(html.unescape(created.text))}
    path = re.search(rf"{owner.root}/webhooks/[0-9a-f-]{{36}}", created.text)[0]
    rotated = await owner.browser.post(f"{path}/secret", {"overlap": "24"})
    [second] = set(SECRET.findall(html.unescape(rotated.text)))
    assert first != second
    assert "two signatures" in rotated.text
    for where in (path, f"{owner.root}/webhooks", f"{owner.root}/webhooks/events"):
        page = await owner.browser.get(where)
        assert page.status_code == 200
        assert not SECRET.search(html.unescape(page.text))
    assert (await owner.browser.post(f"{path}/secret", {"overlap": "5"})).status_code == 422


async def test_a_refused_url_is_told_beside_what_was_typed(owner):
    answer = await owner.browser.post(
        f"{owner.root}/webhooks/new", {"url": "ftp://example.com/", "description": EVIL, "events": ["key.created"]}
    )
    assert answer.status_code == 422
    assert "must begin with https://" in answer.text
    assert "ftp://example.com/" in answer.text
    assert html.escape(EVIL, quote=False)[:20] in answer.text
    assert "<img src=x" not in answer.text
    assert re.search(r'value="key.created" checked', answer.text)


async def test_settings_are_changed_and_events_chosen(portal, owner):
    path = await make(owner)
    answer = await owner.browser.post(
        path, {"url": URL, "description": "Two", "events": ["key.created", "key.revoked"]}
    )
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?done=saved")
    row = await portal.pool.fetchrow("select * from webhook_endpoint where id = $1::uuid", path.rpartition("/")[2])
    assert (row["description"], row["event_types"]) == ("Two", ["key.created", "key.revoked"])
    bad = await owner.browser.post(path, {"url": "nonsense", "description": "Three"})
    assert bad.status_code == 422
    assert "Three" in bad.text


async def test_a_test_event_is_followed_from_queue_to_answer_and_sent_again(portal, owner):
    async with receiving(
        answering(b"HTTP/1.1 500 No\r\ncontent-length: 22\r\n\r\n<script>no()</script>\n")
    ) as receiver:
        path = await make(owner, url=receiver.url)
        sent = await owner.browser.post(f"{path}/test")
        assert sent.status_code == 303
        delivery = sent.headers["location"].partition("?")[0]
        assert "No attempt was made yet" in (await owner.browser.get(delivery)).text
        refused = await owner.browser.post(f"{path}/test")
        assert (refused.status_code, "already waits" in refused.text) == (409, True)
        again = await owner.browser.post(f"{delivery}/replay")
        assert (again.status_code, "already waits" in again.text) == (409, True)
        await deliver(portal)
        page = await owner.browser.get(delivery)
        assert "Status <strong>500</strong>" in page.text
        assert "&lt;script&gt;no()" in page.text
        assert "Next try" in page.text
        assert receiver.received[0].headers["webhook-id"] in page.text
        await portal.pool.execute(
            "update webhook_delivery set state = 'failed' where id = $1::uuid", delivery.rpartition("/")[2]
        )
        again = await owner.browser.post(f"{delivery}/replay")
        assert (again.status_code, again.headers["location"].partition("?")[0] != delivery) == (303, True)
        await deliver(portal)
    assert receiver.received[0].headers["webhook-id"] == receiver.received[1].headers["webhook-id"]
    listed = await owner.browser.get(f"{path}?state=failed")
    assert "given up" in listed.text
    assert (await owner.browser.get(f"{path}?state=nonsense")).status_code == 422


async def test_deliveries_are_paged(portal, owner):
    path = await make(owner)
    endpoint_id = path.rpartition("/")[2]
    await portal.pool.execute(
        "with v as (insert into webhook_event (organization_id, type, payload) values ($1, 'key.created', '{}')"
        " returning id) insert into webhook_delivery (event_id, endpoint_id, organization_id, state, created_at)"
        " select v.id, $2::uuid, $1, 'delivered', now() - n * interval '1 minute' from v, generate_series(1, 30) n",
        owner.organization.id,
        endpoint_id,
    )
    first = await owner.browser.get(f"{path}?state=delivered&event=key.created")
    following = html.unescape(re.search(r'rel="next" href="([^"]+)"', first.text)[1])
    second = await owner.browser.get(following.partition("#")[0])
    ids = [set(re.findall(r"webhooks/deliveries/([0-9a-f-]{36})", page.text)) for page in (first, second)]
    assert [len(found) for found in ids] == [25, 5]
    assert not ids[0] & ids[1]
    assert "First page" in second.text


async def test_switching_off_and_on_and_deleting(portal, owner):
    path = await make(owner)
    off = await owner.browser.post(f"{path}/state", {"enabled": "no"})
    assert "Switched off by hand." in (await owner.browser.get(off.headers["location"])).text
    await owner.browser.post(f"{path}/state", {"enabled": "yes"})
    assert "Switched off by hand." not in (await owner.browser.get(path)).text
    gone = await owner.browser.post(f"{path}/delete")
    assert "The endpoint is deleted." in (await owner.browser.get(gone.headers["location"])).text
    assert (await owner.browser.get(path)).status_code == 404


@pytest.mark.parametrize("role", ["viewer", "billing"])
async def test_who_may_only_look_sees_payloads_and_no_forms(portal, owner, role):
    path = await make(owner)
    delivery = (await owner.browser.post(f"{path}/test")).headers["location"].partition("?")[0]
    person = await portal.person(role, owner.organization)
    for where in (f"{owner.root}/webhooks", path, delivery, f"{owner.root}/webhooks/events"):
        page = await person.browser.get(where)
        assert page.status_code == 200
        main = page.text.partition("<main")[2]
        assert '<form method="post"' not in main
    assert (await person.browser.get(f"{owner.root}/webhooks/new")).status_code == 403
    for where in (
        f"{owner.root}/webhooks/new",
        path,
        f"{path}/state",
        f"{path}/secret",
        f"{path}/test",
        f"{path}/delete",
    ):
        assert (await person.browser.post(where, {"url": URL})).status_code == 403
    assert (await person.browser.post(f"{delivery}/replay")).status_code == 403


async def test_k6_another_organizations_pages_are_404(portal, owner):
    path = await make(owner)
    delivery = (await owner.browser.post(f"{path}/test")).headers["location"].partition("?")[0]
    stranger = await portal.person()
    for where in (path, delivery):
        assert (await stranger.browser.get(where)).status_code == 404
        assert (await stranger.browser.get(where.replace(owner.root, stranger.root))).status_code == 404
    for act in ("", "/state", "/secret", "/test", "/delete"):
        answer = await stranger.browser.post(path.replace(owner.root, stranger.root) + act, {"url": URL})
        assert answer.status_code == 404
    assert (await stranger.browser.post(delivery.replace(owner.root, stranger.root) + "/replay")).status_code == 404


async def test_a7_names_and_urls_are_escaped_everywhere(portal, owner):
    path = await make(
        owner, url=f"https://example.com/?q={html.escape(EVIL).replace(' ', '+').replace('#', '')}", description=EVIL
    )
    for where in (path, f"{owner.root}/webhooks"):
        text = (await owner.browser.get(where)).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text


async def test_the_event_reference_lists_every_event_with_an_example(owner):
    page = (await owner.browser.get(f"{owner.root}/webhooks/events")).text
    for event_type in EVENT_TYPES:
        assert f'id="{event_type.name}"' in page
        assert html.escape(event_type.description, quote=False).replace("'", "&#39;") in page
    assert "standardwebhooks" in page


async def test_a_portal_process_delivers_beside_its_requests(portal, owner):
    settings = copy(portal.settings)
    settings.webhooks = settings.webhooks.model_copy(update={"deliver": True})
    async with receiving() as receiver:
        path = await make(owner, url=receiver.url)
        async with running_portal(settings, tasks=(deliver_webhooks,)):
            await owner.browser.post(f"{path}/test")
            await until(lambda: receiver.received, 10, "the test event")
    assert receiver.received[0].headers["user-agent"].startswith("paid-endpoint-webhooks/")


async def test_while_the_database_is_away_delivering_waits_and_goes_on(portal, owner, monkeypatch):
    monkeypatch.setattr(deliverer, "AFTER_A_FAULT_SECONDS", 0.01)
    failed = 0
    real = deliverer.claim_due

    async def claim(*given, **named):
        nonlocal failed
        failed += 1
        if failed <= 3:
            raise ConnectionRefusedError("away")
        return await real(*given, **named)

    monkeypatch.setattr(deliverer, "claim_due", claim)
    async with receiving() as receiver:
        path = await make(owner, url=receiver.url)
        await owner.browser.post(f"{path}/test")
        task = asyncio.create_task(deliverer_of(portal).run())
        await until(lambda: receiver.received, 10, "the test event")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_members_who_join_leave_or_are_removed_are_told_of(portal, owner):
    await make(owner, url="https://example.com/members", events="member.removed")
    person = await portal.person("viewer", owner.organization)
    async with portal.pool.acquire() as connection, connection.transaction():
        await remove_member(connection, owner.access, Actor("user", owner.user_id, owner.email), person.user_id)
    row = await portal.pool.fetchrow(
        "select type, payload::text from webhook_event where organization_id = $1", owner.organization.id
    )
    assert row["type"] == "member.removed"
    assert json.loads(row["payload"])["data"] == {"user_id": person.user_id, "email": person.email, "role": "viewer"}
