"""What the catalog knows of keys, plans and services."""

import asyncio
import hashlib
import time
import uuid
from datetime import UTC, datetime, timedelta
from inspect import isawaitable
from ipaddress import ip_network

import pytest

from domain import keys
from domain.key_format import checksum, mint
from domain.refusals import CannotDecide

from .conftest import make_key, make_service, resolved, until_key


async def test_a_key_is_read_once_and_then_warm(run_catalog, customer):
    catalog = await run_catalog()
    first = catalog.find_key(customer.key)
    assert isawaitable(first)
    snapshot = await first
    assert catalog.find_key(customer.key) is snapshot
    assert (snapshot.id, snapshot.organization_id, snapshot.plan_id) == (
        customer.key_id,
        customer.organization_id,
        customer.plan_id,
    )
    assert (snapshot.organization_state, snapshot.environment, snapshot.revoked) == ("active", "live", False)
    assert (snapshot.scopes, snapshot.allowed_ips, snapshot.expires_at) == (frozenset(), (), None)
    assert snapshot.period_start < snapshot.period_end
    assert catalog.plan(snapshot.plan_id).limits[0].amount == 1000
    assert catalog.status().keys_cached == 1


async def test_restrictions_of_a_key(run_catalog, pool, customer):
    catalog = await run_catalog()
    expires_at = datetime.now(UTC) + timedelta(days=1)
    key = await make_key(
        pool, customer, environment="test", scopes=["demo"], allowed_ips=["10.0.0.0/8", "::1"], expires_at=expires_at
    )
    snapshot = await resolved(catalog.find_key(key))
    assert snapshot.environment == "test"
    assert snapshot.scopes == {"demo"}
    assert snapshot.allowed_ips == (ip_network("10.0.0.0/8"), ip_network("::1"))
    assert snapshot.expires_at == pytest.approx(expires_at.timestamp())


async def test_spend_caps_of_a_key_and_of_its_organization(run_catalog, pool, customer):
    catalog = await run_catalog()
    snapshot = await resolved(catalog.find_key(customer.key))
    assert (snapshot.spend_caps, snapshot.billing_mode) == ((), "credits")
    await pool.execute(
        "update organization set spend_cap_month_micro = 70, billing_mode = 'quota' where id = $1",
        snapshot.organization_id,
    )
    await pool.execute("update api_key set spend_cap_day_micro = 0 where id = $1", snapshot.id)
    deadline = time.monotonic() + 1
    while len((found := await resolved(catalog.find_key(customer.key))).spend_caps) < 2:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.01)
    assert [(cap.scope, cap.period, cap.amount, cap.unit) for cap in found.spend_caps] == [
        ("organization", "month", 70, "credits"),
        ("key", "day", 0, "credits"),
    ]
    assert found.billing_mode == "quota"


async def test_an_unreadable_network_lets_nobody_in(run_catalog, pool, customer):
    await pool.execute("update api_key set allowed_ips = '{nonsense}' where id = $1", customer.key_id)
    snapshot = await resolved((await run_catalog()).find_key(customer.key))
    assert snapshot.allowed_ips == (ip_network("255.255.255.255/32"),)


async def test_an_imported_key_keeps_its_format(run_catalog, pool, customer):
    legacy = b"legacy-" + uuid.uuid4().hex.encode()
    catalog = await run_catalog()
    assert await resolved(catalog.find_key(legacy)) is None
    await keys.import_sha256(
        pool, organization_id=customer.organization_id, name="old", sha256_hex=hashlib.sha256(legacy).hexdigest()
    )
    # Known at once, not only after the unknown key's time is over: making a key is a change too.
    await until_key(catalog, legacy, lambda found: found is not None, 1.0)
    assert await resolved(catalog.find_key(legacy + b"x")) is None


async def test_a_key_of_ours_is_never_taken_for_an_imported_one(run_catalog, pool, customer):
    """The SHA-256 of a key in our format, imported, would sidestep the pepper."""
    stranger = mint("live").plaintext.encode()
    await keys.import_sha256(
        pool, organization_id=customer.organization_id, name="odd", sha256_hex=hashlib.sha256(stranger).hexdigest()
    )
    assert await resolved((await run_catalog()).find_key(stranger)) is None


def swapped_environment(key: bytes) -> bytes:
    body = key[:-6].replace(b"pe_live_", b"pe_test_")
    return body + checksum(body).encode()


def other_secret(key: bytes) -> bytes:
    body = key[:-8] + (b"AA" if key[-8:-6] != b"AA" else b"BB")
    return body + checksum(body).encode()


@pytest.mark.parametrize("change", [swapped_environment, other_secret])
async def test_another_environment_or_secret_under_the_same_id_is_unknown(run_catalog, customer, change):
    catalog = await run_catalog()
    assert await resolved(catalog.find_key(customer.key)) is not None
    assert await resolved(catalog.find_key(change(customer.key))) is None


async def test_a_key_of_an_older_pepper_verifies_and_one_of_a_lost_pepper_does_not(run_catalog, pool, customer):
    catalog = await run_catalog()
    for version, pepper in ((1, bytes.fromhex("11" * 32)), (3, bytes.fromhex("33" * 32))):
        body = mint("live")
        key = body.plaintext.encode()
        await pool.execute(
            "insert into api_key (organization_id, name, scheme, public_id, prefix, last4, digest, pepper_version,"
            " environment) values ($1, 'old', 'hmac', $2, $3, $4, $5, $6, 'live')",
            customer.organization_id,
            body.public_id,
            body.prefix,
            body.last4,
            keys.digest(key, pepper),
            version,
        )
        assert (await resolved(catalog.find_key(key)) is not None) == (version == 1)


@pytest.mark.parametrize(
    "presented",
    [
        b"",
        b"pe_live_",
        b"pe_live_abc",
        b"pe_live_0123456789_" + b"a" * 38,
        b"pe_test_0123456789_" + b"a" * 39,
        b"x" * 513,
        b"x" * 1_000_000,
    ],
    ids=lambda presented: f"{presented[:24]!r}-{len(presented)}",
)
async def test_what_cannot_be_a_key_is_refused_without_a_read(run_catalog, presented):
    catalog = await run_catalog()
    assert catalog.find_key(presented) is None
    assert catalog._cache.unknown_count == 0


async def test_unknown_keys_are_remembered_within_bounds(run_catalog):
    catalog = await run_catalog(negative_cache_size=100)
    presented = [uuid.uuid4().hex.encode() for _ in range(130)]
    for key in presented:
        assert await resolved(catalog.find_key(key)) is None
    assert catalog._cache.unknown_count == 100
    assert catalog.find_key(presented[-1]) is None
    assert await resolved(catalog.find_key(presented[0])) is None


async def test_known_keys_are_held_within_bounds(run_catalog, pool, customer):
    catalog = await run_catalog(cache_size=100)
    made = [await make_key(pool, customer) for _ in range(103)]
    for key in made:
        assert await resolved(catalog.find_key(key)) is not None
        assert await resolved(catalog.find_key(made[0])) is not None
    assert catalog.status().keys_cached == 100
    assert not isawaitable(catalog.find_key(made[0]))


async def test_revoked_keys_and_organizations_without_a_plan_are_returned_as_such(run_catalog, pool, customer):
    await pool.execute("update subscription set state = 'expired' where organization_id = $1", customer.organization_id)
    await pool.execute("update api_key set revoked_at = now() where id = $1", customer.key_id)
    snapshot = await resolved((await run_catalog()).find_key(customer.key))
    assert snapshot.revoked
    assert (snapshot.plan_id, snapshot.plan_slug) == (None, "")


async def test_services_match_with_their_operations(run_catalog, pool):
    slug = await make_service(pool)
    await pool.execute(
        "insert into operation (service_id, name, method, path_pattern, price_micro)"
        " select id, 'get', 'GET', '/a/{b}', 100000 from service where slug = $1",
        slug,
    )
    catalog = await run_catalog()
    match = catalog.match(b"HEAD", f"/{slug}/a/1".encode())
    assert (match.service.slug, match.operation.price_micro, match.rest) == (slug, 100_000, b"/a/1")
    upstream = match.service.upstreams[0]
    assert (upstream.path, upstream.weight, upstream.host_header) == (b"/base", 2, b"127.0.0.1:1")
    assert match.service.connect_timeout == 5.0
    assert catalog.match(b"GET", b"/nobody") is None


async def test_a_plan_that_nobody_read_cannot_be_decided(run_catalog):
    catalog = await run_catalog()
    with pytest.raises(CannotDecide):
        catalog.plan(uuid.uuid4())
