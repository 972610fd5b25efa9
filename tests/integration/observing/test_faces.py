"""/metrics of portal and back office: by route templates and codes, on a port of their own, however much is asked for."""

import asyncio
import re
import secrets

import pytest

from admin.routes import routes as admin_routes
from cli.supervisor.ports import free_port
from domain.metrics import pool_use
from portal.routes import routes as portal_routes
from portal.web.measures import OTHER
from tests.admins import running_back_office
from tests.integration.observing.scraping import of, samples, scraped
from tests.portals import PASSWORD, portal_settings, running_portal

REQUESTS, REFUSALS = "paid_endpoint_web_requests_total", "paid_endpoint_web_refusals_total"


@pytest.fixture
async def portal(database_url, redis_url, tmp_path):
    settings = portal_settings(database_url, redis_url, tmp_path)
    settings.portal = settings.portal.model_copy(update={"metrics_port": free_port()})
    async with running_portal(settings) as made:
        yield made


@pytest.fixture
async def office(database_url, redis_url, tmp_path):
    settings = portal_settings(database_url, redis_url, tmp_path)
    settings.admin = settings.admin.model_copy(update={"metrics_port": free_port()})
    async with running_back_office(settings) as made:
        yield made


async def test_requests_count_by_template_and_class_never_by_path_or_organization(portal):
    person = await portal.person()
    await person.browser.get(person.root)
    await person.browser.get(f"{person.root}/keys")
    await person.browser.get(f"{person.root}/keys/{'0' * 8}-0000-7000-8000-{'0' * 12}")
    await person.browser.api("GET", "/organizations")
    for _ in range(20):
        await person.browser.get(f"/{secrets.token_hex(8)}/{secrets.token_hex(8)}")
        await person.browser.get(f"/o/{secrets.token_hex(8)}/keys")
    found = await samples(portal.settings.portal.metrics_port)
    assert of(found, REQUESTS, route="/o/{organization}/keys", method="GET", status="2xx") == 1
    assert of(found, REQUESTS, route="/o/{organization}/keys", method="GET", status="4xx") == 20
    assert of(found, REQUESTS, route="/api/organizations", method="GET", status="2xx") == 1
    assert of(found, REQUESTS, route=OTHER, method="GET", status="4xx") == 20
    assert of(found, "paid_endpoint_web_request_seconds_count", route="/o/{organization}/keys") == 21
    known = {route.path for route in portal_routes()} | {OTHER}
    assert {labels["route"] for name, pairs in found if (labels := dict(pairs)).get("route")} <= known
    assert of(found, REFUSALS, code="not_found") >= 41
    text = (await scraped(portal.settings.portal.metrics_port))[1]
    assert person.organization.slug not in text
    assert str(person.organization.id) not in text
    assert person.email not in text


async def test_methods_are_bounded_and_what_is_under_way_is_counted(portal):
    browser = portal.browser()
    for method in ("BREW", "PROPFIND", secrets.token_hex(4).upper()):
        await browser.client.request(method, "/sign-in")
    found = await samples(portal.settings.portal.metrics_port)
    assert of(found, REQUESTS, route="/sign-in", method=OTHER, status="4xx") == 3
    assert of(found, "paid_endpoint_web_requests_in_progress") == 0


async def test_refused_sign_ins_and_sessions_are_counted_by_code(portal):
    _, email = await portal.user()
    browser = portal.browser("203.0.113.77")
    assert (await browser.post("/sign-in", {"email": email, "password": "wrong " + PASSWORD})).status_code == 401
    assert (await browser.get("/organizations")).status_code == 303
    assert (await browser.client.post("/sign-in", data={"email": email, "password": PASSWORD})).status_code == 403
    assert (await browser.client.get("/api/organizations")).status_code == 401
    found = await samples(portal.settings.portal.metrics_port)
    assert of(found, REFUSALS, code="wrong_credentials") == 1
    assert of(found, REFUSALS, code="not_signed_in") == 2
    assert of(found, REFUSALS, code="forbidden") == 1


async def test_the_back_office_counts_its_doors_and_tables(office):
    operator = await office.operator("analyst")
    await operator.browser.get("/alerts")
    await operator.browser.get("/operators")
    await operator.browser.get("/tables/")
    _, email = await office.user()
    refused = await office.browser("203.0.113.78").post("/sign-in", {"email": email, "password": PASSWORD})
    assert refused.status_code == 401
    found = await samples(office.settings.admin.metrics_port)
    assert of(found, REQUESTS, route="/alerts", method="GET", status="2xx") == 1
    assert of(found, REQUESTS, route="/operators", method="GET", status="4xx") == 1
    assert of(found, REQUESTS, route="/tables", method="GET", status="2xx") == 1
    assert of(found, REFUSALS, code="wrong_credentials") == 1
    assert of(found, REFUSALS, code="forbidden") == 1
    known = {route.path for route in admin_routes()} | {OTHER}
    assert {labels["route"] for name, pairs in found if (labels := dict(pairs)).get("route")} <= known


async def test_connections_in_use_and_who_waits_for_one(portal):
    port, pool = portal.settings.portal.metrics_port, portal.pool
    most = pool.get_max_size()
    lent = [await pool.acquire() for _ in range(most)]
    waiting = [asyncio.ensure_future(pool.acquire()) for _ in range(3)]
    while pool_use(pool).waiting < 3:
        await asyncio.sleep(0.01)
    found = await samples(port)
    assert of(found, "paid_endpoint_pool_connections", state="in_use") == most
    assert of(found, "paid_endpoint_pool_connections_max") == most
    assert of(found, "paid_endpoint_pool_waiting") == 3
    for each in waiting[1:]:
        each.cancel()
    await asyncio.gather(*waiting[1:], return_exceptions=True)
    assert of(await samples(port), "paid_endpoint_pool_waiting") == 1
    for connection in lent:
        await pool.release(connection)
    await pool.release(await waiting[0])
    found = await samples(port)
    assert of(found, "paid_endpoint_pool_waiting") == 0
    assert of(found, "paid_endpoint_pool_connections", state="in_use") == 0


async def test_nothing_else_is_served_there_and_metrics_are_not_served_to_the_world(portal):
    port = portal.settings.portal.metrics_port
    assert (await scraped(port, "/"))[0] == 404
    assert (await scraped(port, "/metrics/"))[0] == 404
    assert (await portal.browser().get("/metrics")).status_code == 404


async def test_a_port_that_is_taken_is_told_and_the_face_serves_all_the_same(portal, redis_url, tmp_path, caplog):
    settings = portal_settings(portal.settings.database.url.get_secret_value(), redis_url, tmp_path)
    port = portal.settings.portal.metrics_port
    settings.portal = settings.portal.model_copy(update={"metrics_port": port})
    async with running_portal(settings) as second:
        assert (await second.browser().get("/sign-in")).status_code == 200
    assert re.search(rf"metrics are off: 127\.0\.0\.1:{port}: .*in use", caplog.text)
    assert (await scraped(port))[0] == 200
