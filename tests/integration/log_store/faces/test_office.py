"""The back office's pages of requests, with the rows in ClickHouse; and what pages say while it is away."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from domain import keys
from domain.log_store.address import parse_address
from domain.log_store.clickhouse import ClickHouse
from domain.log_store.clickhouse_logs import ClickHouseLogs
from domain.request_ids import new_request_id
from tests.job_rows import asynchronous_operation, write_job
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


async def test_away_takes_no_page_along_that_shows_requests_beside_other_things(
    owner, superuser, office, customer, away
):
    """An operator has to see and suspend a customer while the log store is away, and a customer has to see a paid job."""
    organization, key, _ = customer
    operation = await asynchronous_operation(office.pool)
    theirs = await write_job(office.pool, owner.organization.id, operation, status="completed", result=b"1")
    request = new_request_id()
    job = await write_job(office.pool, organization.id, operation, request_id=request)
    pages = {
        f"/organizations/{organization.slug}": organization.name,
        f"/keys/{key.id}": "Production",
        f"/async-jobs/{job}": str(job),
        f"/find?list=1&q={request}": "asynchronous job of",
    }
    for path, expected in pages.items():
        answer = await superuser.browser.get(path)
        assert (answer.status_code, expected in answer.text) == (200, True), path
        assert "find" in path or "log store does not answer" in answer.text, path
    shown = await owner.browser.get(f"{owner.root}/jobs/{theirs}")
    assert (shown.status_code, "log store does not answer" in shown.text) == (200, True)
    assert (await superuser.browser.get(f"/find?q={new_request_id()}")).status_code == 503


async def test_away_is_what_the_page_of_what_if_says_of_days_that_postgres_lacks(office, superuser, customer, away):
    organization, *_ = customer
    query = {"plan": organization.plan_slug, "limits": "5/hour", "days": "40", "organization": organization.slug}
    for path in ("/what-if", "/what-if.csv"):
        answer = await superuser.browser.get(path, params=query)
        assert (answer.status_code, "The log store cannot be reached" in answer.text) == (503, True)
