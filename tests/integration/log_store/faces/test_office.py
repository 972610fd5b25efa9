"""The back office's pages of requests, with the rows in ClickHouse; and what pages say while it is away."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from domain import keys
from domain.log_store.address import parse_address
from domain.log_store.clickhouse import ClickHouse
from domain.log_store.clickhouse_logs import ClickHouseLogs
from tests.request_rows import write_request


@pytest.fixture
async def customer(office):
    """An organization with a key and three requests."""
    organization = await office.organization()
    made = await keys.create(office.pool, office.settings.keys, organization_id=organization.id, name="Production")
    ids = [
        await write_request(
            office.pool, organization.id, ago=timedelta(minutes=number), key_id=made.record.id, status=status
        )
        for number, status in enumerate((200, 404, 502))
    ]
    return organization, made.record, ids


async def test_the_pages_of_requests_organization_key_and_finding_show_them(office, superuser, customer):
    organization, key, ids = customer
    pages = {
        "/requests": ids,
        f"/requests?organization={organization.slug}": ids,
        f"/requests?organization={organization.slug}&status=4xx": ids[1:2],
        f"/requests?organization={organization.slug}&key={key.id}&status=502": ids[2:],
        f"/organizations/{organization.slug}": ids,
        f"/keys/{key.id}": ids,
        f"/find?list=1&q={ids[0]}": ids[:1],
    }
    for path, expected in pages.items():
        answer = await superuser.browser.get(path)
        assert answer.status_code == 200, path
        assert [one for one in ids if str(one) in answer.text] == expected, path
    assert (await superuser.browser.get(f"/requests/{ids[0]}")).status_code == 200
    assert (await superuser.browser.get(f"/find?q={ids[0]}")).headers["location"] == f"/requests/{ids[0]}"
    assert (await superuser.browser.get(f"/requests/{uuid4()}")).status_code == 404
    assert office.app.state.services.logs.moved >= len(ids)


@pytest.fixture
async def away(office, portal):
    """Nobody listens where the log store should be."""
    nowhere = ClickHouse(parse_address("clickhouse://logs:secret@127.0.0.1:1/logs"))
    apps = {face.app: face.app.state.services for face in (office, portal)}
    for app, services in apps.items():
        app.state.services = replace(services, logs=ClickHouseLogs(nowhere))
    yield
    for app, services in apps.items():
        app.state.services = services
    await nowhere.close()


async def test_away_is_said_with_a_code_on_every_face_and_the_rest_goes_on(owner, superuser, away):
    page = await owner.browser.get(f"{owner.root}/logs")
    assert page.status_code == 503
    assert "The log store cannot be reached" in page.text
    call = await owner.browser.api("GET", "/logs")
    assert (call.status_code, call.json()["code"]) == (503, "log_store_away")
    export = await owner.browser.get(f"{owner.root}/logs/export?format=csv")
    assert export.status_code == 503
    assert (await superuser.browser.get(f"/requests?organization={owner.organization.slug}")).status_code == 503
    for answer in (page, call, export):
        assert "secret" not in answer.text
    assert (await owner.browser.get(f"{owner.root}/keys")).status_code == 200
    assert (await superuser.browser.get("/organizations")).status_code == 200
