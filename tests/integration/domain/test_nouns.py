"""Organizations, plans, services and operations: made and changed by one statement or not at all."""

import asyncio
import secrets
from uuid import uuid4

import pytest

from domain import operations, organizations, plans, services, subscriptions
from domain.faults import Conflict, InvalidValue, NotFound
from domain.limit_texts import parse_limits


def fresh(stem):
    return f"{stem}-{secrets.token_hex(5)}"


@pytest.fixture
async def connection(pool):
    async with pool.acquire() as acquired:
        yield acquired


@pytest.fixture
async def plan(connection):
    return await plans.create(
        connection, slug=fresh("plan"), limits=parse_limits(["1000/hour", "10/day"], ["5/second"])
    )


@pytest.fixture
async def service(connection):
    slug = fresh("svc")
    return await services.create(connection, slug=slug, prefix=f"/{slug}", upstreams=["http://127.0.0.1:8000/"])


async def test_an_organization_is_born_with_its_subscription(connection, plan):
    made = await organizations.create(connection, name="Acmé GmbH", plan_slug=plan.slug)
    assert made.slug.startswith("acme-gmbh")
    assert (made.plan_slug, made.state) == (plan.slug, "active")
    assert await organizations.fetch_organization(connection, made.slug) == made
    assert made in await organizations.list_organizations(connection)


async def test_without_a_plan_there_is_no_organization_either(connection, plan):
    slug = fresh("o")
    with pytest.raises(NotFound, match="plan"):
        await organizations.create(connection, name="x", slug=slug, plan_slug="no-such-plan")
    await plans.change(connection, plan.slug, active=False)
    with pytest.raises(Conflict, match="no new"):
        await organizations.create(connection, name="x", slug=slug, plan_slug=plan.slug)
    with pytest.raises(NotFound):
        await organizations.fetch_organization(connection, slug)


async def test_one_name_at_once_gives_each_its_own_slug(pool, plan):
    name = fresh("Same Name")

    async def create():
        async with pool.acquire() as own:
            return await organizations.create(own, name=name, plan_slug=plan.slug)

    made = await asyncio.gather(*(create() for _ in range(6)))
    assert len({organization.slug for organization in made}) == 6


async def test_a_given_slug_is_taken_once(connection, plan):
    slug = fresh("o")
    await organizations.create(connection, name="x", slug=slug, plan_slug=plan.slug)
    with pytest.raises(Conflict):
        await organizations.create(connection, name="x", slug=slug, plan_slug=plan.slug)


async def test_suspending_restoring_and_another_plan(connection, plan):
    made = await organizations.create(connection, name="x", slug=fresh("o"), plan_slug=plan.slug)
    assert (await organizations.suspend(connection, made.slug)).state == "suspended"
    assert (await organizations.suspend(connection, made.slug)).state == "suspended"
    assert (await organizations.restore(connection, made.slug)).state == "active"
    other = await plans.create(connection, slug=fresh("plan"), limits=[])
    await subscriptions.change_plan(connection, made.id, other.slug)
    assert (await organizations.fetch_organization(connection, made.id)).plan_slug == other.slug
    with pytest.raises(Conflict):
        await subscriptions.subscribe(connection, made.id, other.slug)
    await connection.execute("update organization set state = 'closed' where id = $1", made.id)
    with pytest.raises(Conflict, match="closed"):
        await organizations.restore(connection, made.slug)
    with pytest.raises(NotFound):
        await organizations.suspend(connection, "no-such-organization")


async def test_a_plans_limits_are_listed_shortest_first_and_replaced(connection, plan):
    assert [(limit.name, limit.amount, limit.shadow) for limit in plan.limits] == [
        ("second", 5, True),
        ("hour", 1000, False),
        ("day", 10, False),
    ]
    changed = await plans.change(connection, plan.slug, limits=parse_limits(["2000/hour"]), price_cents=5)
    assert [(limit.name, limit.amount) for limit in changed.limits] == [("hour", 2000)]
    assert (changed.price_cents, changed.name) == (5, plan.name)
    assert changed in await plans.list_plans(connection)
    with pytest.raises(Conflict):
        await plans.create(connection, slug=plan.slug, limits=[])
    with pytest.raises(NotFound):
        await plans.change(connection, "no-such-plan", name="x")
    with pytest.raises(InvalidValue):
        await plans.change(connection, plan.slug, price_cents=-1)


async def test_services_are_made_changed_and_refused(connection, service, plan):
    assert service.upstreams == ("http://127.0.0.1:8000",)
    assert (service.connect_timeout_ms, service.charge_on) == (5000, "success")
    changed = await services.update(
        connection, service.slug, upstreams=["http://a", "http://b"], idle_timeout_ms=5, minimum_plan_id=plan.id
    )
    assert changed.upstreams == ("http://a", "http://b")
    assert (changed.idle_timeout_ms, changed.minimum_plan_id) == (5, plan.id)
    assert await services.fetch_service(connection, service.slug) == changed
    assert await services.update(connection, service.slug) == changed
    assert changed in await services.list_services(connection)
    with pytest.raises(Conflict, match="slug"):
        await services.create(connection, slug=service.slug, prefix=f"/{fresh('p')}", upstreams=["http://a"])
    with pytest.raises(Conflict, match="prefix"):
        await services.create(connection, slug=fresh("s"), prefix=service.route_prefix, upstreams=["http://a"])
    with pytest.raises(NotFound):
        await services.update(connection, "no-such-service", name="x")
    with pytest.raises(NotFound, match="plan"):
        await services.update(connection, service.slug, minimum_plan_id=uuid4())
    for wrong in ({"charge_on": "never"}, {"max_connections": 0}, {"idle_timeout_ms": 2**40}, {"id": uuid4()}):
        with pytest.raises(InvalidValue):
            await services.update(connection, service.slug, **wrong)


async def test_operations_are_made_changed_and_refused(connection, service):
    given = {"service_slug": service.slug, "method": "get", "path_pattern": "/a/{b}", "name": "get a"}
    made = await operations.create(connection, **given, price_micro=100_000, reserved=True)
    assert (made.method, made.price_micro, made.reserved, made.enabled) == ("GET", 100_000, True, True)
    for pattern in ("/a/{b}", "/a/{other}"):
        with pytest.raises(Conflict):
            await operations.create(connection, **{**given, "path_pattern": pattern})
    await operations.create(connection, **{**given, "method": "POST"})
    changed = await operations.change(connection, made.id, price_micro=1, enabled=False)
    assert (changed.price_micro, changed.enabled, changed.name) == (1, False, "get a")
    assert await operations.fetch_operation(connection, made.id) == changed
    listed = await operations.list_operations(connection, service_slug=service.slug)
    assert [operation.method for operation in listed] == ["GET", "POST"]
    with pytest.raises(NotFound):
        await operations.create(connection, **{**given, "service_slug": "no-such-service"})
    with pytest.raises(NotFound):
        await operations.change(connection, uuid4(), name="x")
    for wrong in ({"method": "G T"}, {"path_pattern": "a"}, {"name": ""}, {"price_micro": -1}):
        with pytest.raises(InvalidValue):
            await operations.create(connection, **{**given, **wrong})
