"""API keys: made, narrowed, rotated, revoked. The plaintext leaves here once, in what `create` and `rotate` return.

`organization_id=None` is the operator, who may change every key; customers pass their own and never meet another's.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from domain.faults import Conflict, InvalidValue, NotFound
from domain.key_digest import digest, sha256_digest, verify_row
from domain.key_format import ENVIRONMENTS, KEY_LENGTH, MintedKey, ParsedKey, crc_ok, mint, parse
from domain.key_records import ALIVE, COLUMNS, OWNED, KeyRecord, fetch_key, list_keys, record_of, why_unchanged
from domain.key_restrictions import valid_expiry, valid_networks, valid_scopes
from domain.names import valid_name
from domain.settings import KeySettings
from domain.spend_caps import CapChange, valid_cap
from domain.webhooks import announcing

__all__ = [
    "KEY_LENGTH",
    "CreatedKey",
    "KeyRecord",
    "MintedKey",
    "ParsedKey",
    "crc_ok",
    "create",
    "digest",
    "fetch_key",
    "import_sha256",
    "list_keys",
    "mint",
    "parse",
    "rename",
    "revoke",
    "rotate",
    "set_allowed_ips",
    "set_expiry",
    "set_scopes",
    "sha256_digest",
    "verify_row",
]

LONGEST_OVERLAP = timedelta(days=90)
REASON_LENGTH = 500


@dataclass(frozen=True, slots=True, repr=False)
class CreatedKey:
    """A new key's record and, the only time, its plaintext."""

    record: KeyRecord
    plaintext: str

    def __repr__(self) -> str:
        return f"CreatedKey({self.record.prefix}...)"


async def create(
    connection: Any,
    settings: KeySettings,
    *,
    organization_id: UUID,
    name: str,
    environment: str = "live",
    scopes: Iterable[str] = (),
    allowed_ips: Iterable[str] = (),
    expires_at: datetime | None = None,
    spend_caps: CapChange | None = None,
    created_by: int | None = None,
) -> CreatedKey:
    """A new key under the newest pepper. Raises NotFound without such an open organization, InvalidValue."""
    caps = spend_caps or {}
    minted = mint(_valid_environment(environment))
    version, stored = _digest_now(minted, settings)
    row = await connection.fetchrow(
        "with k as (insert into api_key (organization_id, name, scheme, public_id, prefix, last4, digest,"
        " pepper_version, environment, scopes, allowed_ips, expires_at, created_by, spend_cap_day_micro,"
        " spend_cap_month_micro)"
        " select id, $2, 'hmac', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14 from organization"
        " where id = $1 and state <> 'closed' for share returning *)"
        f" select {COLUMNS} from k join organization o on o.id = k.organization_id",
        organization_id,
        valid_name(name),
        minted.public_id,
        minted.prefix,
        minted.last4,
        stored,
        version,
        environment,
        valid_scopes(scopes),
        valid_networks(allowed_ips),
        valid_expiry(expires_at),
        created_by,
        valid_cap(caps.get("day")),
        valid_cap(caps.get("month")),
    )
    if row is None:
        raise NotFound("There is no open organization to create a key for.")
    record = record_of(row)
    await announcing.key_created(connection, record)
    return CreatedKey(record, minted.plaintext)


async def import_sha256(
    connection: Any,
    *,
    organization_id: UUID,
    name: str,
    sha256_hex: str,
    prefix: str = "",
    last4: str = "",
    environment: str = "live",
    scopes: Iterable[str] = (),
    allowed_ips: Iterable[str] = (),
    expires_at: datetime | None = None,
) -> KeyRecord:
    """A key of another installation, known by its SHA-256 alone. Raises Conflict for a digest that is here already."""
    if len(prefix) > 20 or len(last4) > 4:
        raise InvalidValue("For display, give at most 20 characters of the key's beginning and 4 of its end.")
    try:
        row = await connection.fetchrow(
            "with k as (insert into api_key (organization_id, name, scheme, prefix, last4, digest, environment,"
            " scopes, allowed_ips, expires_at) select id, $2, 'sha256', $3, $4, $5, $6, $7, $8, $9"
            " from organization where id = $1 and state <> 'closed' for share returning *)"
            f" select {COLUMNS} from k join organization o on o.id = k.organization_id",
            organization_id,
            valid_name(name),
            prefix,
            last4,
            _sha256_bytes(sha256_hex),
            _valid_environment(environment),
            valid_scopes(scopes),
            valid_networks(allowed_ips),
            valid_expiry(expires_at),
        )
    except asyncpg.UniqueViolationError:
        raise Conflict("A key with this SHA-256 was imported before.") from None
    if row is None:
        raise NotFound("There is no open organization to import a key for.")
    return record_of(row)


async def rename(connection: Any, key_id: UUID, name: str, *, organization_id: UUID | None) -> KeyRecord:
    """Give a key another name; also one that is revoked. Raises NotFound, InvalidValue."""
    row = await _update(connection, "name = $3", "true", key_id, organization_id, valid_name(name))
    if row is None:
        raise NotFound(f"There is no API key {key_id}.")
    return record_of(row)


async def set_scopes(
    connection: Any, key_id: UUID, scopes: Iterable[str], *, organization_id: UUID | None
) -> KeyRecord:
    """Replace a living key's scopes; none means everything. Raises NotFound, Conflict, InvalidValue."""
    return await _change(connection, "scopes = $3", key_id, organization_id, valid_scopes(scopes))


async def set_allowed_ips(
    connection: Any, key_id: UUID, networks: Iterable[str], *, organization_id: UUID | None
) -> KeyRecord:
    """Replace a living key's networks; none means anywhere. Raises NotFound, Conflict, InvalidValue."""
    return await _change(connection, "allowed_ips = $3", key_id, organization_id, valid_networks(networks))


async def set_expiry(
    connection: Any, key_id: UUID, expires_at: datetime | None, *, organization_id: UUID | None
) -> KeyRecord:
    """Set when a living key ends; None is never. An expired key stays expired. Raises as the others."""
    return await _change(connection, "expires_at = $3", key_id, organization_id, valid_expiry(expires_at))


async def revoke(
    connection: Any, key_id: UUID, *, organization_id: UUID | None, reason: str | None = None
) -> KeyRecord:
    """Stop a key for ever; again is no change, the first time and reason stay. Raises NotFound."""
    row = await _update(
        connection,
        "revoked_at = now(), revoked_reason = $3",
        "k.revoked_at is null",
        key_id,
        organization_id,
        reason[:REASON_LENGTH] if reason else None,
    )
    if row is None:
        return await fetch_key(connection, key_id, organization_id=organization_id)
    record = record_of(row)
    await announcing.key_revoked(connection, record)
    return record


async def rotate(
    connection: Any, settings: KeySettings, key_id: UUID, *, organization_id: UUID | None, overlap: timedelta
) -> CreatedKey:
    """A second key with the first one's name and restrictions; the first expires after `overlap` (or before).

    Raises NotFound; Conflict for a key that is revoked, expired, or already has a living successor.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise InvalidValue(f"The overlap lasts from 0 to {LONGEST_OVERLAP.days} days.")
    async with connection.transaction():
        # The organization first, as whoever closes it does, who then revokes its keys.
        await connection.execute(
            f"select from organization o join api_key k on k.organization_id = o.id where {OWNED} for share of o",
            key_id,
            organization_id,
        )
        # The lock orders rotations of one key; the statement behind it sees what the one before has done.
        row = await connection.fetchrow(
            f"select k.environment from api_key k where {OWNED} for update", key_id, organization_id
        )
        if row is None:
            raise NotFound(f"There is no API key {key_id}.")
        minted = mint(row["environment"])
        successor = await _insert_successor(connection, settings, key_id, minted)
        ends_at = await connection.fetchval(
            "update api_key set expires_at = least(expires_at, now() + $2::interval) where id = $1 returning expires_at",
            key_id,
            overlap,
        )
        await announcing.key_rotated(connection, successor, key_id, ends_at)
    return CreatedKey(successor, minted.plaintext)


async def _insert_successor(connection: Any, settings: KeySettings, key_id: UUID, minted: MintedKey) -> KeyRecord:
    version, stored = _digest_now(minted, settings)
    row = await connection.fetchrow(
        "with s as (insert into api_key (organization_id, name, scheme, public_id, prefix, last4, digest,"
        " pepper_version, environment, scopes, allowed_ips, expires_at, created_by, spend_cap_day_micro,"
        " spend_cap_month_micro, rotated_from)"
        " select k.organization_id, k.name, 'hmac', $2, $3, $4, $5, $6, k.environment, k.scopes, k.allowed_ips,"
        " k.expires_at, k.created_by, k.spend_cap_day_micro, k.spend_cap_month_micro, k.id"
        f" from api_key k where k.id = $1 and {ALIVE}"
        " and not exists (select from api_key n where n.rotated_from = k.id and n.revoked_at is null) returning *)"
        f" select {COLUMNS} from s k join organization o on o.id = k.organization_id",
        key_id,
        minted.public_id,
        minted.prefix,
        minted.last4,
        stored,
        version,
    )
    if row is not None:
        return record_of(row)
    key = await fetch_key(connection, key_id, organization_id=None)
    if key.state == "active":
        raise Conflict(f"The API key {key_id} was rotated before: rotate the key that replaced it, or revoke that one.")
    raise Conflict(f"The API key {key_id} is {key.state}: create a new one.")


async def _change(connection: Any, change: str, key_id: UUID, organization_id: UUID | None, value: Any) -> KeyRecord:
    row = await _update(connection, change, ALIVE, key_id, organization_id, value)
    if row is None:
        raise await why_unchanged(connection, key_id, organization_id)
    return record_of(row)


async def _update(
    connection: Any, change: str, condition: str, key_id: UUID, organization_id: UUID | None, value: Any
) -> Any:
    return await connection.fetchrow(
        f"with k as (update api_key k set {change} where {OWNED} and {condition} returning k.*)"
        f" select {COLUMNS} from k join organization o on o.id = k.organization_id",
        key_id,
        organization_id,
        value,
    )


def _digest_now(minted: MintedKey, settings: KeySettings) -> tuple[int, bytes]:
    try:
        version = settings.current_pepper_version
    except ValueError as error:
        raise InvalidValue(str(error)) from None
    return version, digest(minted.plaintext.encode(), settings.pepper_by_version[version])


def _valid_environment(environment: str) -> str:
    if environment not in ENVIRONMENTS:
        raise InvalidValue("A key is for `live` or `test`.")
    return environment


def _sha256_bytes(text: str) -> bytes:
    try:
        value = bytes.fromhex(text.strip())
    except ValueError:
        value = b""
    if len(value) != 32:
        raise InvalidValue("Give the key's SHA-256 as 64 hexadecimal digits, never the key itself.")
    return value
