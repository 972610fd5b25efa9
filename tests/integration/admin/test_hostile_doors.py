"""Somebody who wants more from the back office's doors: what an error tells, what a slow sender keeps, who holds the pool."""

import asyncio
import json
from contextlib import suppress
from urllib.parse import urlencode

import pytest

from admin.web.cookies import SESSION
from domain import services
from domain.settings import DatabaseSettings
from portal.web import bodies
from portal.web.cookies import cookie_name
from portal.web.forgery import FIELD
from tests.admins import running_back_office
from tests.portals import portal_settings
from tests.subscriptions import fresh

FORM = {"content-type": "application/x-www-form-urlencoded"}


async def test_a_stranger_is_not_told_where_the_database_is(database_url, redis_url, tmp_path):
    settings = portal_settings(database_url, redis_url, tmp_path)
    settings.database = DatabaseSettings(url="postgresql://keeper:of-secrets@127.0.0.1:1/away")
    async with running_back_office(settings) as away:
        stranger = away.browser()
        stranger.client.cookies.set(cookie_name(settings.admin, SESSION), "anything", domain="localhost.local")
        answer = await stranger.get("/tables/")
    assert answer.status_code == 503
    assert "127.0.0.1" not in answer.text
    assert "Try again soon" in answer.text


async def test_who_is_dismissed_while_a_form_arrives_does_nothing_with_it(office):
    operator, organization = await office.operator("support"), await office.organization()
    fields = await operator.browser.look("suspend-organization", organization=organization.slug)
    form = urlencode({FIELD: operator.browser.csrf, **fields, "reason": "before they notice"}).encode()

    async def slowly():
        yield form[:20]
        await office.appoint(operator.user_id, None)
        yield form[20:]

    answer = await operator.browser.client.post("/actions/suspend-organization", content=slowly(), headers=FORM)
    assert answer.status_code == 403, "the form belongs to a session that is none any more"
    assert await _state(office, organization) == "active"


async def test_who_is_dismissed_while_a_row_arrives_writes_nothing(office):
    operator, organization = await office.operator("admin"), await office.organization("Before")
    row = json.dumps({"name": "After"}).encode()

    async def slowly():
        yield row[:5]
        await office.appoint(operator.user_id, None)
        yield row[5:]

    answer = await _patch(operator.browser, organization, slowly())
    assert answer.status_code == 403
    name = await office.pool.fetchval("select name from organization where id = $1", organization.id)
    assert name == "Before"


async def test_a_row_that_never_arrives_is_not_waited_for(office, monkeypatch):
    operator, organization = await office.operator("admin"), await office.organization()
    monkeypatch.setattr(bodies, "SECONDS", 0.2)

    async def never():
        yield b"{"
        await asyncio.sleep(60)

    async with asyncio.timeout(20):
        answer = await _patch(operator.browser, organization, never())
    assert answer.status_code == 408


async def test_a_row_nested_without_end_is_refused_as_no_json(office):
    operator = await office.operator("admin")
    service = (await _service(office)).id
    row = json.dumps({"upstreams": "[" * 200_000}).encode()
    headers = {"x-csrftoken": operator.browser.csrf, "content-type": "application/json"}
    path = f"/tables/api/tables/service/{service}/"
    answer = await operator.browser.client.request("PATCH", path, content=row, headers=headers)
    assert (answer.status_code, answer.json()) == (422, "upstreams is no JSON.")


async def test_one_operator_who_asks_for_much_at_once_leaves_connections_to_others(office):
    greedy, other = await office.operator("analyst"), await office.operator("support")
    async with office.pool.acquire() as connection, connection.transaction():
        await connection.execute("lock table service in access exclusive mode")
        asked = [asyncio.create_task(greedy.browser.get("/reports/errors-by-service")) for _ in range(12)]
        await asyncio.sleep(1)
        try:
            async with asyncio.timeout(6):
                answer = await other.browser.get("/actions")
        finally:
            for task in asked:
                task.cancel()
            for task in asked:
                with suppress(asyncio.CancelledError, Exception):
                    await task
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/organizations?plan=%00", "/requests?organization=%00", "/audit?actor=%00"])
async def test_a_character_that_no_text_can_hold_is_no_fault_of_ours(superuser, path):
    answer = await superuser.browser.get(path)
    assert answer.status_code < 500, answer.text


async def test_a_reason_with_a_character_that_no_text_can_hold_is_refused(office, superuser):
    organization = await office.organization()
    answer = await superuser.browser.act("suspend-organization", "be\x00cause", organization=organization.slug)
    assert answer.status_code == 422
    assert await _state(office, organization) == "active"


async def test_a_service_that_was_found_leads_to_a_page_that_is_there(office, superuser):
    slug = (await _service(office)).slug
    found = await superuser.browser.get("/find", params={"q": slug})
    assert found.status_code == 303
    page = await superuser.browser.get(found.headers["location"])
    assert page.status_code == 200


async def _service(office):
    slug = fresh("found")
    async with office.pool.acquire() as connection:
        return await services.create(connection, slug=slug, prefix=f"/{slug}", upstreams=["http://127.0.0.1:9"])


async def _state(office, organization) -> str:
    return await office.pool.fetchval("select state from organization where id = $1", organization.id)


async def _patch(browser, organization, content):
    headers = {"x-csrftoken": browser.csrf, "content-type": "application/json"}
    path = f"/tables/api/tables/organization/{organization.id}/"
    return await browser.client.request("PATCH", path, content=content, headers=headers)
