"""Limits as data: on services and operations that exist, replaced as a whole, read by the catalog."""

import secrets

import pytest

from domain import operations, plans, services
from domain.catalog.reading import read_tables
from domain.faults import InvalidValue, NotFound
from domain.limit_texts import limit_texts, parse_limits


@pytest.fixture
async def connection(pool):
    async with pool.acquire() as acquired:
        yield acquired


@pytest.fixture
async def weather(connection):
    """Slug of a service with the operations `forecast` and, twice, `items`."""
    slug = f"w-{secrets.token_hex(4)}"
    await services.create(connection, slug=slug, prefix=f"/{slug}", upstreams=["http://127.0.0.1:8000"])
    for method, pattern, name in (("GET", "/f", "forecast"), ("GET", "/i", "items"), ("POST", "/i", "items")):
        await operations.create(connection, service_slug=slug, method=method, path_pattern=pattern, name=name)
    return slug


def fresh():
    return f"plan-{secrets.token_hex(4)}"


async def test_what_was_written_is_stored_and_printed(connection, weather):
    written = [
        "5/second per key",
        f"100/minute on {weather}",
        f"9/month per key on {weather}:forecast",
        "10 concurrent",
    ]
    made = await plans.create(connection, slug=fresh(), limits=parse_limits(written, ["1000/hour"]))
    assert limit_texts(made.limits) == [*written[:2], "1000/hour", *written[2:]]
    assert [spec.name for spec in made.limits if spec.shadow] == ["hour"]
    assert await plans.fetch_plan(connection, made.slug) == made


async def test_the_catalog_reads_what_a_limit_is_on(connection, weather):
    limits = parse_limits([f"a=1/hour on {weather}:forecast", f"b=2/hour on {weather}", "c=3/hour", "4 concurrent"])
    made = await plans.create(connection, slug=fresh(), limits=limits)
    service = await services.fetch_service(connection, weather)
    operation = (await operations.list_operations(connection, service_slug=weather))[0]
    read = (await read_tables(connection)).plans[made.id].limits
    assert [(limit.name, limit.period, limit.service_id, limit.operation_id) for limit in read] == [
        ("a", "hour", service.id, operation.id),
        ("b", "hour", service.id, None),
        ("c", "hour", None, None),
        ("concurrent", "concurrent", None, None),
    ]


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ("1/hour on no-such", NotFound, "no service no-such, which the limit hour-no-such is on"),
        ("x=1/hour on {0}:snow", NotFound, "has no operation snow, which the limit x is on"),
        ("1/hour on {0}:items", InvalidValue, "has 2 operations named items"),
    ],
)
async def test_a_limit_is_on_one_thing_that_exists_or_the_plan_is_not_made(connection, weather, text, error, sentence):
    slug = fresh()
    with pytest.raises(error, match=sentence):
        await plans.create(connection, slug=slug, limits=parse_limits(["1/day", text.format(weather)]))
    with pytest.raises(NotFound):
        await plans.fetch_plan(connection, slug)


async def test_a_limit_keeps_its_id_while_it_counts_the_same(connection, weather):
    slug = fresh()
    await plans.create(connection, slug=slug, limits=parse_limits(["x=1/hour", "y=1/day", "z=1/day"]))

    async def ids():
        rows = await connection.fetch(
            "select l.name, l.id from plan_limit l join plan p on p.id = l.plan_id where p.slug = $1", slug
        )
        return dict(rows)

    first = await ids()
    changed = await plans.change(
        connection, slug, limits=parse_limits(["x=2/hour", f"y=1/day on {weather}"], ["z=3/day"])
    )
    assert limit_texts(changed.limits) == ["x=2/hour", f"y=1/day on {weather}", "z=3/day"]
    second = await ids()
    assert {name: second[name] == first[name] for name in first} == {"x": True, "y": False, "z": True}


async def test_a_service_takes_the_limits_on_it_with_it(connection, weather):
    slug = fresh()
    await plans.create(connection, slug=slug, limits=parse_limits(["1/day", f"1/hour on {weather}:forecast"]))
    await connection.execute("delete from service where slug = $1", weather)
    assert limit_texts((await plans.fetch_plan(connection, slug)).limits) == ["1/day"]
