"""Keys in the database: shown once, narrowed, rotated, revoked; never another's, never in plain text."""

import asyncio
import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from pydantic import SecretStr

from domain import keys, organizations, plans
from domain.faults import Conflict, InvalidValue, NotFound
from domain.settings import KeySettings
from tests.databases import PEPPERS

SETTINGS = KeySettings(peppers=SecretStr(PEPPERS))
HOUR = timedelta(hours=1)


@pytest.fixture
async def connection(pool):
    async with pool.acquire() as acquired:
        yield acquired


@pytest.fixture
async def organization(connection):
    slug = f"k-{secrets.token_hex(6)}"
    await plans.create(connection, slug=slug, limits=[])
    return await organizations.create(connection, name=slug, plan_slug=slug)


async def digest_row(connection, key_id):
    return await connection.fetchrow("select scheme, digest, pepper_version from api_key where id = $1", key_id)


async def test_a_new_key_verifies_under_the_newest_pepper_and_keeps_no_plaintext(connection, organization):
    made = await keys.create(connection, SETTINGS, organization_id=organization.id, name=" CI ")
    assert keys.crc_ok(made.plaintext.encode())
    assert made.plaintext not in repr(made)
    scheme, digest, version = await digest_row(connection, made.record.id)
    assert version == 2
    assert keys.verify_row(made.plaintext.encode(), scheme, digest, version, SETTINGS.pepper_by_version)
    assert (made.record.name, made.record.state, made.record.organization_slug) == ("CI", "active", organization.slug)


async def test_restrictions_are_stored_in_one_form_and_replaced(connection, organization):
    ahead = datetime.now(UTC) + HOUR
    made = await keys.create(
        connection,
        SETTINGS,
        organization_id=organization.id,
        name="k",
        environment="test",
        scopes=["b", "a", "a"],
        allowed_ips=["10.1.2.3"],
        expires_at=ahead,
    )
    assert made.record.scopes == ("a", "b")
    assert made.record.allowed_ips == ("10.1.2.3/32",)
    assert made.record.expires_at == ahead
    own = {"organization_id": organization.id}
    await keys.set_scopes(connection, made.record.id, [], **own)
    await keys.set_allowed_ips(connection, made.record.id, ["::/0"], **own)
    await keys.set_expiry(connection, made.record.id, None, **own)
    await keys.rename(connection, made.record.id, "other", **own)
    found = await keys.fetch_key(connection, made.record.id, **own)
    assert (found.scopes, found.allowed_ips, found.expires_at, found.name) == ((), ("::/0",), None, "other")


async def test_every_change_of_anothers_key_finds_nothing(connection, organization):
    made = await keys.create(connection, SETTINGS, organization_id=organization.id, name="k")
    stranger = {"organization_id": uuid4()}
    changes = [
        lambda: keys.fetch_key(connection, made.record.id, **stranger),
        lambda: keys.rename(connection, made.record.id, "x", **stranger),
        lambda: keys.set_scopes(connection, made.record.id, ["x"], **stranger),
        lambda: keys.set_allowed_ips(connection, made.record.id, [], **stranger),
        lambda: keys.set_expiry(connection, made.record.id, None, **stranger),
        lambda: keys.revoke(connection, made.record.id, **stranger),
        lambda: keys.rotate(connection, SETTINGS, made.record.id, overlap=HOUR, **stranger),
    ]
    for change in changes:
        with pytest.raises(NotFound):
            await change()
    assert await keys.list_keys(connection, **stranger) == []
    assert await keys.list_keys(connection, organization_id=organization.id) == [made.record]


async def test_revoking_is_for_ever_and_again_is_no_change(connection, organization):
    made = await keys.create(connection, SETTINGS, organization_id=organization.id, name="k")
    first = await keys.revoke(connection, made.record.id, organization_id=None, reason="leaked")
    again = await keys.revoke(connection, made.record.id, organization_id=None, reason="other")
    assert (first.state, first.revoked_reason) == ("revoked", "leaked")
    assert again == first
    for change in (
        keys.set_expiry(connection, made.record.id, None, organization_id=None),
        keys.set_scopes(connection, made.record.id, [], organization_id=None),
        keys.rotate(connection, SETTINGS, made.record.id, organization_id=None, overlap=HOUR),
    ):
        with pytest.raises(Conflict, match="revoked"):
            await change


async def test_an_expired_key_cannot_be_revived(connection, organization):
    made = await keys.create(connection, SETTINGS, organization_id=organization.id, name="k")
    await connection.execute("update api_key set expires_at = now() where id = $1", made.record.id)
    with pytest.raises(Conflict, match="expired"):
        await keys.set_expiry(connection, made.record.id, None, organization_id=None)


async def test_rotation_copies_restrictions_and_ends_the_old_key_after_the_overlap(connection, organization):
    ahead = datetime.now(UTC) + 10 * HOUR
    old = await keys.create(
        connection,
        SETTINGS,
        organization_id=organization.id,
        name="k",
        scopes=["a"],
        allowed_ips=["10.0.0.0/8"],
        expires_at=ahead,
    )
    new = await keys.rotate(connection, SETTINGS, old.record.id, organization_id=organization.id, overlap=HOUR)
    assert new.plaintext != old.plaintext
    assert new.record.rotated_from == old.record.id
    same = ("name", "environment", "scopes", "allowed_ips", "expires_at", "organization_id")
    assert [getattr(new.record, name) for name in same] == [getattr(old.record, name) for name in same]
    ended = await keys.fetch_key(connection, old.record.id, organization_id=None)
    assert abs(ended.expires_at - datetime.now(UTC) - HOUR) < timedelta(minutes=1)
    with pytest.raises(Conflict, match="rotated before"):
        await keys.rotate(connection, SETTINGS, old.record.id, organization_id=None, overlap=HOUR)
    await keys.revoke(connection, new.record.id, organization_id=None)
    third = await keys.rotate(connection, SETTINGS, old.record.id, organization_id=None, overlap=10 * HOUR)
    assert third.record.expires_at == ended.expires_at


async def test_rotations_at_once_make_one_successor(pool, connection, organization):
    old = await keys.create(connection, SETTINGS, organization_id=organization.id, name="k")

    async def rotate():
        async with pool.acquire() as own:
            return await keys.rotate(own, SETTINGS, old.record.id, organization_id=None, overlap=HOUR)

    results = await asyncio.gather(*(rotate() for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, keys.CreatedKey) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 4


async def test_an_imported_key_is_known_by_its_sha256_once(connection, organization):
    foreign = f"sk_{secrets.token_hex(16)}"
    given = {
        "organization_id": organization.id,
        "name": "old",
        "sha256_hex": hashlib.sha256(foreign.encode()).hexdigest(),
        "prefix": "sk_",
        "last4": foreign[-4:],
    }
    record = await keys.import_sha256(connection, **given)
    scheme, digest, version = await digest_row(connection, record.id)
    assert keys.verify_row(foreign.encode(), scheme, digest, version, {})
    with pytest.raises(Conflict):
        await keys.import_sha256(connection, **given)
    for text in (foreign, "", "00", "zz" * 32):
        with pytest.raises(InvalidValue):
            await keys.import_sha256(connection, **{**given, "sha256_hex": text})
    successor = await keys.rotate(connection, SETTINGS, record.id, organization_id=None, overlap=HOUR)
    assert (successor.record.scheme, successor.record.rotated_from) == ("hmac", record.id)


async def test_nobody_gets_a_key_without_a_pepper_or_an_open_organization(connection, organization):
    with pytest.raises(InvalidValue, match="KEY_PEPPERS"):
        await keys.create(connection, KeySettings(peppers=SecretStr("")), organization_id=organization.id, name="k")
    await connection.execute("update organization set state = 'closed' where id = $1", organization.id)
    for missing in (organization.id, uuid4()):
        with pytest.raises(NotFound):
            await keys.create(connection, SETTINGS, organization_id=missing, name="k")
