"""What members do to their organization's API keys: every change is theirs to make, and stands in the audit.

All of it belongs into the caller's transaction: the change and its trace happen together or not at all.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain import audit, keys
from domain.access import Access, Permission
from domain.credit_amounts import credits_text
from domain.faults import Conflict, InvalidValue, NotFound
from domain.key_audit import note_key
from domain.key_listing import printable
from domain.key_records import KeyRecord, fetch_key
from domain.key_restrictions import unknown_scopes
from domain.keys import CreatedKey
from domain.open_organizations import held_state
from domain.settings import KeySettings
from domain.spend_caps import CapChange, set_key_caps

MOST_KEYS = 10_000
"""Keys of one organization that are not revoked: a bound against scripts that forget to stop."""
LONGEST_EXPIRY = timedelta(days=3_660)


@dataclass(frozen=True, slots=True)
class KeyWish:
    """What a new key shall be. `scopes` empty: everything; `allowed_ips` empty: anywhere; `expires_at` None: never."""

    name: str
    environment: str = "live"
    scopes: tuple[str, ...] = ()
    allowed_ips: tuple[str, ...] = ()
    expires_at: datetime | None = None
    spend_caps: CapChange = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What shall be different; None stays as it is. `changes_expiry` says whether `expires_at` (None: never) counts."""

    name: str | None = None
    scopes: tuple[str, ...] | None = None
    allowed_ips: tuple[str, ...] | None = None
    changes_expiry: bool = False
    expires_at: datetime | None = None
    spend_caps: CapChange = field(default_factory=dict)


async def create_key(
    connection: Any, access: Access, actor: audit.Actor, settings: KeySettings, wish: KeyWish
) -> CreatedKey:
    """A new key. Raises Forbidden, InvalidValue; Conflict for a suspended organization, an unknown scope, a past expiry."""
    await _require_room_to_build(connection, access)
    await _check_scopes(connection, wish.scopes)
    _check_expiry(wish.expires_at)
    if await _living(connection, access) >= MOST_KEYS:
        raise Conflict(f"An organization has at most {MOST_KEYS} keys that are not revoked. Revoke some first.")
    made = await keys.create(
        connection,
        settings,
        organization_id=access.organization_id,
        name=wish.name,
        environment=wish.environment,
        scopes=wish.scopes,
        allowed_ips=wish.allowed_ips,
        expires_at=wish.expires_at,
        spend_caps=wish.spend_caps,
        created_by=access.user_id,
    )
    await note_key(connection, actor, audit.Verb.KEY_CREATE, made.record, after=facts(made.record))
    return made


async def change_key(connection: Any, access: Access, actor: audit.Actor, key_id: UUID, change: KeyChange) -> KeyRecord:
    """Change what is given and differs. Raises Forbidden, NotFound, InvalidValue; Conflict for a key that has ended."""
    access.require(Permission.BUILD)
    before = await _held(connection, access, key_id)
    owner = access.organization_id
    after = before
    if change.name is not None and change.name.strip() != before.name:
        after = await keys.rename(connection, key_id, change.name, organization_id=owner)
    if change.scopes is not None and tuple(sorted(set(change.scopes))) != before.scopes:
        await _check_scopes(connection, set(change.scopes) - set(before.scopes))
        after = await keys.set_scopes(connection, key_id, change.scopes, organization_id=owner)
    if change.allowed_ips is not None and change.allowed_ips != before.allowed_ips:
        after = await keys.set_allowed_ips(connection, key_id, change.allowed_ips, organization_id=owner)
    if change.changes_expiry and change.expires_at != before.expires_at:
        _check_expiry(change.expires_at)
        after = await keys.set_expiry(connection, key_id, change.expires_at, organization_id=owner)
    caps = {"day": before.spend_cap_day_micro, "month": before.spend_cap_month_micro}
    if any(caps[period] != amount for period, amount in change.spend_caps.items()):
        after = await set_key_caps(connection, key_id, change.spend_caps, organization_id=owner)
    was, now = facts(before), facts(after)
    changed = [name for name in now if now[name] != was[name]]
    if changed:
        old, new = ({name: each[name] for name in changed} for each in (was, now))
        await note_key(connection, actor, audit.Verb.KEY_CHANGE, after, before=old, after=new)
    return after


async def rotate_key(
    connection: Any, access: Access, actor: audit.Actor, settings: KeySettings, key_id: UUID, overlap: timedelta
) -> CreatedKey:
    """A successor; the key itself ends after `overlap`. Raises Forbidden, NotFound, InvalidValue, Conflict."""
    await _require_room_to_build(connection, access)
    before = await _held(connection, access, key_id)
    made = await keys.rotate(connection, settings, key_id, organization_id=access.organization_id, overlap=overlap)
    after = {"successor": made.record.id, "overlap_seconds": int(overlap.total_seconds())}
    await note_key(connection, actor, audit.Verb.KEY_ROTATE, before, after=after)
    return made


async def revoke_key(
    connection: Any, access: Access, actor: audit.Actor, key_id: UUID, *, reason: str = ""
) -> KeyRecord:
    """Stop a key for ever; again is no change and no trace. Raises Forbidden, NotFound."""
    access.require(Permission.BUILD)
    before = await _held(connection, access, key_id)
    text = printable(reason)[: keys.REASON_LENGTH]
    after = await keys.revoke(connection, key_id, organization_id=access.organization_id, reason=text or None)
    if before.revoked_at is None:
        await note_key(connection, actor, audit.Verb.KEY_REVOKE, after, reason=text)
    return after


def facts(key: KeyRecord) -> dict[str, Any]:
    """What the audit says of a key: nothing by which it could be used."""
    return {
        "name": key.name,
        "environment": key.environment,
        "scopes": list(key.scopes),
        "allowed_ips": list(key.allowed_ips),
        "expires_at": key.expires_at,
        "spend_cap_day": _amount(key.spend_cap_day_micro),
        "spend_cap_month": _amount(key.spend_cap_month_micro),
    }


def _amount(micro: int | None) -> str | None:
    return None if micro is None else credits_text(micro)


async def _require_room_to_build(connection: Any, access: Access) -> None:
    access.require(Permission.BUILD)
    if await held_state(connection, access.organization_id) == "suspended":
        raise Conflict("This organization is suspended, so no keys are made. Keys can still be revoked.")


def _check_expiry(moment: datetime | None) -> None:
    if moment is None:
        return
    if moment.tzinfo is None:
        raise InvalidValue("The expiry needs a time zone.")
    now = datetime.now(UTC)
    if moment <= now:
        raise Conflict("The expiry must lie in the future; to stop a key now, revoke it.")
    if moment > now + LONGEST_EXPIRY:
        raise Conflict("The expiry lies more than ten years ahead. Choose an earlier one, or none.")


async def _check_scopes(connection: Any, scopes: Any) -> None:
    """A scope that grants nothing is a typing error: it is told before anybody wonders about a 403."""
    missing = await unknown_scopes(connection, scopes) if scopes else []
    if missing:
        raise Conflict(f"There is no service or operation {printable(missing[0])[:80]} that a key could be for.")


async def _living(connection: Any, access: Access) -> int:
    number: int = await connection.fetchval(
        "select count(*) from api_key where organization_id = $1 and revoked_at is null", access.organization_id
    )
    return number


async def _held(connection: Any, access: Access, key_id: UUID) -> KeyRecord:
    """The key as it is, locked until the transaction ends, so that the trace says what was changed."""
    held = await connection.fetchval(
        "select id from api_key where id = $1 and organization_id = $2 for update", key_id, access.organization_id
    )
    if held is None:
        raise NotFound("There is no such API key.")
    return await fetch_key(connection, key_id, organization_id=access.organization_id)
