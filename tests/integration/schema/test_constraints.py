"""What the database itself refuses, whoever writes."""

import secrets

import asyncpg
import pytest

SERVICE = "insert into service (slug, name, route_prefix, upstreams) values ($1, 'S', $2, $3)"


def fresh(prefix="c"):
    return f"{prefix}-{secrets.token_hex(4)}"


@pytest.fixture
async def connection(pool):
    """A connection whose changes vanish."""
    async with pool.acquire() as acquired:
        transaction = acquired.transaction()
        await transaction.start()
        yield acquired
        await transaction.rollback()


async def refuses(connection, constraint, statement, *values, error=asyncpg.CheckViolationError):
    with pytest.raises(error) as caught:
        async with connection.transaction():
            await connection.execute(statement, *values)
    assert caught.value.constraint_name == constraint


@pytest.mark.parametrize("slug", ["", "A", "-a", "a b", "a" * 64])
async def test_slugs(connection, slug):
    await refuses(connection, "ck_organization_slug", "insert into organization (slug, name) values ($1, 'x')", slug)


@pytest.mark.parametrize("prefix", ["x", "/", "/x/", "/a b", "//x", "/a{b}", "/a\n"])
async def test_prefixes(connection, prefix):
    await refuses(connection, "ck_service_route_prefix", SERVICE, fresh(), prefix, '[{"url": "http://h"}]')


@pytest.mark.parametrize("upstreams", ["[]", "{}", '"x"', "1", "null"])
async def test_a_service_has_upstreams(connection, upstreams):
    await refuses(connection, "ck_service_upstreams", SERVICE, fresh(), "/" + fresh(), upstreams)


async def test_an_organization_has_one_live_subscription(connection):
    organization = await connection.fetchval(
        "insert into organization (slug, name) values ($1, 'x') returning id", fresh()
    )
    plan = await connection.fetchval("insert into plan (slug, name) values ($1, 'x') returning id", fresh())
    statement = (
        "insert into subscription (organization_id, plan_id, state, period_start, period_end)"
        " values ($1, $2, $3, now(), now() + interval '1 day')"
    )
    for state in ("cancelled", "expired", "active", "expired"):
        await connection.execute(statement, organization, plan, state)
    for state in ("active", "trialing", "past_due"):
        await refuses(
            connection,
            "uq_subscription_live",
            statement,
            organization,
            plan,
            state,
            error=asyncpg.UniqueViolationError,
        )


async def test_a_key_is_hmac_with_its_pepper_or_imported_without(connection):
    organization = await connection.fetchval(
        "insert into organization (slug, name) values ($1, 'x') returning id", fresh()
    )
    statement = (
        "insert into api_key (organization_id, name, scheme, public_id, pepper_version, prefix, last4, digest)"
        " values ($1, 'k', $2, $3, $4, '', '', $5)"
    )
    digest = secrets.token_bytes(32)
    for scheme, public_id, version in (("hmac", None, 1), ("hmac", "x", None), ("sha256", "x", None)):
        await refuses(connection, "ck_api_key_hmac", statement, organization, scheme, public_id, version, digest)
    await refuses(connection, "ck_api_key_digest", statement, organization, "sha256", None, None, b"short")
    await refuses(connection, "ck_api_key_scheme", statement, organization, "md5", None, None, digest)


async def test_users_have_one_lower_case_identity(connection):
    address = f"Ann-{secrets.token_hex(4)}@Example.com"
    user = await connection.fetchrow(
        "insert into users (username, email, password) values ('x', $1, 'h') returning id, username, email", address
    )
    assert user["username"] == user["email"] == address.lower()
    renamed = await connection.fetchrow(
        "update users set username = 'B' || $2 where id = $1 returning username, email", user["id"], address
    )
    assert renamed["username"] == renamed["email"] == f"b{address.lower()}"


async def test_a_limit_is_on_a_service_and_perhaps_on_an_operation_of_it(connection):
    plan = await connection.fetchval("insert into plan (slug, name) values ($1, 'x') returning id", fresh())
    services = [
        await connection.fetchval(f"{SERVICE} returning id", fresh(), "/" + fresh(), '[{"url": "http://h"}]')
        for _ in range(2)
    ]
    operation = await connection.fetchval(
        "insert into operation (service_id, name, method, path_pattern) values ($1, 'o', 'GET', '/') returning id",
        services[0],
    )
    statement = "insert into plan_limit (plan_id, name, amount, period, service_id, operation_id) values ($1, $2, 1, $3, $4, $5)"
    await refuses(connection, "ck_plan_limit_period", statement, plan, "a", "year", None, None)
    await refuses(connection, "ck_plan_limit_operation_id", statement, plan, "a", "hour", None, operation)
    foreign = asyncpg.ForeignKeyViolationError
    wrong = plan, "a", "hour", services[1], operation
    await refuses(connection, "fk_plan_limit_service_id_operation_id", statement, *wrong, error=foreign)
    for name, service_id, operation_id in (("a", services[0], operation), ("b", services[0], None), ("c", None, None)):
        await connection.execute(statement, plan, name, "concurrent", service_id, operation_id)
    await connection.execute("delete from operation where id = $1", operation)
    remaining = "select array_agg(name::text order by name) from plan_limit where plan_id = $1"
    assert await connection.fetchval(remaining, plan) == ["b", "c"]
    await connection.execute("delete from service where id = any($1)", services)
    assert await connection.fetchval(remaining, plan) == ["c"]
