"""A database that somebody has lived in: the demo, and every odd thing that an operator can make."""

from contextlib import asynccontextmanager

import asyncpg
import pytest

from domain import operations, plans, services
from domain.audit import Actor
from domain.limit_texts import LimitSpec, parse_limits
from domain.plan_prices import PriceSpec
from domain.seed import seed
from domain.settings import KeySettings
from tests.conftest import TEMPLATE, copy_template, database_of
from tests.databases import PEPPERS

OPERATOR = Actor(name="the operator")


@asynccontextmanager
async def connected(server_url: str, name: str, template: str | None = None):
    """A connection to a database: a copy of `template`, which is dropped afterwards, or one that is there."""
    server = await asyncpg.connect(server_url)
    if template:
        await server.execute(f"drop database if exists {name} with (force)")
        await server.execute(f"create database {name} template {template}")
    opened = await asyncpg.connect(database_of(server_url, name))
    yield opened
    await opened.close()
    if template:
        await server.execute(f"drop database {name} with (force)")
    await server.close()


@pytest.fixture
async def empty(server_urls, worker_number):
    async with connected(server_urls[0], f"as_code_empty_{worker_number}", TEMPLATE) as opened:
        yield opened


@pytest.fixture(scope="session")
async def lived_in_template(server_urls, worker_number):
    name = f"as_code_template_{worker_number}"
    await copy_template(server_urls[0], name)
    async with connected(server_urls[0], name) as opened:
        await live_in(opened)
    return name


@pytest.fixture
async def lived_in(server_urls, worker_number, lived_in_template):
    async with connected(server_urls[0], f"as_code_{worker_number}", lived_in_template) as opened:
        yield opened


async def live_in(connection) -> None:
    await seed(connection, KeySettings(peppers=PEPPERS), upstream_url="http://127.0.0.1:8000")
    await services.create(
        connection,
        slug="odd",
        prefix="/odd/v1",
        upstreams=["http://10.0.0.1:81/base weight=3", "https://[::1]:8443", "https://x.example weight=0"],
        name='Odd: "quoted" # no comment',
        description="Two\nlines\twith a tab, an umlaut \u00e4, \U0001f600, \u2028 and a \\ ",
        category="yes",
        icon="null",
        colour="#fff",
        sort_order=-5,
        version="1.10",
        enabled=False,
        featured=True,
        beta=True,
        coming_soon=True,
        minimum_plan_id=await connection.fetchval("select id from plan where slug = 'pro'"),
        keep_prefix=True,
        charge_on="response",
        connect_timeout_ms=1,
        first_byte_timeout_ms=2,
        idle_timeout_ms=3,
        total_timeout_ms=4,
        max_connections=5,
        max_body_bytes=2**40,
        tls_verify=False,
        cors_origins=["https://a.example", "*", "true"],
        job_concurrency=7,
        job_timeout_seconds=86_400,
    )
    for method, path, name in (
        ("*", "/files/*", "any"),
        ("GET", "/items/{id}", "twin"),
        ("POST", "/items/{id}", "twin"),
        ("GET", "/%20/a;b=c", "on: x, 'y'"),
    ):
        made = await operations.create(
            connection,
            service_slug="odd",
            method=method,
            path_pattern=path,
            name=name,
            price_micro=1_234_567,
            quota_cost=0,
            minimum_plan="ultra",
            reserved=True,
            asynchronous=method == "POST",
            cost_formula="0.01 + 0.002 * query.pages ? 1",
        )
    await operations.change(connection, made.id, enabled=False, replays=True)
    limits = [
        *parse_limits(
            [
                "5/second",
                "6/minute per key",
                "7/hour on demo",
                "8/day per key on demo:hello",
                "9/month",
                "3 concurrent",
            ],
            ["2 concurrent per key on odd:any", "10/hour"],
            ["100/day", "1000/month on demo:hello"],
        ),
        LimitSpec("never", 1, "month", shadow=True, unit="quota"),
        LimitSpec("true", 12, "hour", service="odd", operation="on: x, 'y'"),
        LimitSpec("1-2", 12, "hour"),
    ]
    await plans.create(
        connection,
        slug="odd",
        limits=limits,
        name="null",
        description="  - a: b  ",
        public=False,
        price_cents=1,
        currency="EUR",
        sort_order=7,
        overage="credits",
        trial_days=14,
        trial_calls=1000,
        grace_days=0,
        prices=[
            PriceSpec("odd", "twin", "price_micro", 5),
            PriceSpec("odd", "twin", "quota_cost", 3),
            PriceSpec("demo", "hello", "quota_cost", 0),
            PriceSpec("demo", "echo", "price_micro", 0),
            PriceSpec("odd", "GET /items/{id}", "price_micro", 7, by_path=True),
        ],
    )
    await plans.change(connection, "odd", active=False)


@pytest.fixture
def actor():
    return OPERATOR
