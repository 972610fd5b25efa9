"""What operators do to customers' API keys: minted, rotated, revoked; customers are told by webhook, of the end by mail too.

All of it belongs into the caller's transaction: the change, its trace and its mails happen together or not at all.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain import audit, keys
from domain.access import Permission
from domain.faults import Conflict, InvalidValue, NotFound
from domain.key_audit import note_key
from domain.key_records import COLUMNS, KeyRecord, record_of
from domain.keys import CreatedKey
from domain.operating.telling import tell
from domain.organizations import OrganizationRecord
from domain.settings import Settings
from domain.tenant_keys import KeyWish, facts
from domain.webhooks import announcing

SHORTEST_BEGINNING = 12
"""Characters of a key's beginning by which it can be named: `pe_live_` and four more."""
NAMED_IN_MAIL = 10
BY_US = "Revoked by the operator"
LEAKED = "Found where others can read it"
WHY = {
    BY_US: "If you did not expect this, write to us.",
    LEAKED: "They were found where others can read them, so whoever has seen them could spend your credits.",
}
"""What the mail says, by the reason that stands at the key."""

_FROM = f"select {COLUMNS} from api_key k join organization o on o.id = k.organization_id"
# By the index on beginnings, which compares characters by their numbers.
_BEGINNING = f"{_FROM} where k.prefix ~>=~ $1 and k.prefix ~<~ $2 limit 2"
LAST_CHARACTER = "\U0010ffff"
_REVOKE = f"""
with k as (update api_key set revoked_at = now(), revoked_reason = $2
            where id = any($1::uuid[]) and revoked_at is null returning *)
select {COLUMNS} from k join organization o on o.id = k.organization_id order by k.created_at, k.id
"""


async def find_key(connection: Any, text: str) -> KeyRecord:
    """A key by its id, or by how it begins. Raises NotFound, InvalidValue, Conflict where several begin so."""
    try:
        rows = await connection.fetch(f"{_FROM} where k.id = $1", UUID(text))
    except ValueError:
        beginning = text.rstrip("*.\u2026")
        if len(beginning) < SHORTEST_BEGINNING:
            raise InvalidValue(
                f"Write its id, or at least {SHORTEST_BEGINNING} characters that it begins with."
            ) from None
        rows = await connection.fetch(_BEGINNING, beginning, beginning + LAST_CHARACTER)
    if len(rows) > 1:
        raise Conflict(f"Several API keys begin with {text}. Write more of it, or the id.")
    if not rows:
        raise NotFound("There is no such API key.")
    return record_of(rows[0])


async def keys_by_id(connection: Any, key_ids: Sequence[UUID]) -> dict[UUID, KeyRecord]:
    """Those of these keys that are there."""
    rows = await connection.fetch(f"{_FROM} where k.id = any($1::uuid[])", list(key_ids))
    return {row["id"]: record_of(row) for row in rows}


async def unrevoked(connection: Any, organization_id: UUID, *, most: int | None = None) -> list[KeyRecord]:
    """Keys of an organization that are not revoked, also those that have expired, oldest first; `most`: no more of them."""
    rows = await connection.fetch(
        f"{_FROM} where k.organization_id = $1 and k.revoked_at is null order by k.created_at, k.id limit $2",
        organization_id,
        most,
    )
    return [record_of(row) for row in rows]


async def count_unrevoked(connection: Any, organization_id: UUID) -> int:
    """How many keys of an organization are not revoked."""
    found: int = await connection.fetchval(
        "select count(*) from api_key where organization_id = $1 and revoked_at is null", organization_id
    )
    return found


async def mint(
    connection: Any,
    settings: Settings,
    actor: audit.Actor,
    organization: OrganizationRecord,
    wish: KeyWish,
    *,
    reason: str,
) -> CreatedKey:
    """A new key for an organization that is active. Raises Conflict, NotFound, InvalidValue."""
    if organization.state != "active":
        raise Conflict(f"{organization.name} is {organization.state}: its keys would be refused.")
    made = await keys.create(
        connection,
        settings.keys,
        organization_id=organization.id,
        name=wish.name,
        environment=wish.environment,
        scopes=wish.scopes,
        expires_at=wish.expires_at,
    )
    await note_key(connection, actor, audit.Verb.KEY_CREATE, made.record, after=facts(made.record), reason=reason)
    return made


async def rotate(
    connection: Any, settings: Settings, actor: audit.Actor, key: KeyRecord, overlap: timedelta, *, reason: str
) -> CreatedKey:
    """A successor; the key itself ends after `overlap`. Raises NotFound, InvalidValue, Conflict."""
    made = await keys.rotate(connection, settings.keys, key.id, organization_id=None, overlap=overlap)
    after = {"successor": made.record.id, "overlap_seconds": int(overlap.total_seconds())}
    before = {"expires_at": key.expires_at}
    await note_key(connection, actor, audit.Verb.KEY_ROTATE, key, before=before, after=after, reason=reason)
    return made


async def revoke(
    connection: Any, settings: Settings, actor: audit.Actor, key_ids: Sequence[UUID], *, said: str, reason: str
) -> list[KeyRecord]:
    """Stop keys for ever; those that were stopped before stay as they are. Returns what was stopped now.

    `said` is the reason that customers see, one of WHY. Raises Conflict if none is left to be stopped.
    """
    stopped = [record_of(row) for row in await connection.fetch(_REVOKE, list(key_ids), said)]
    if not stopped:
        raise Conflict("All of these keys are revoked already.")
    by_owner: defaultdict[UUID, list[KeyRecord]] = defaultdict(list)
    for key in stopped:
        by_owner[key.organization_id].append(key)
        await announcing.key_revoked(connection, key)
        after = {"revoked": True, "revoked_reason": said}
        await note_key(
            connection, actor, audit.Verb.KEY_REVOKE, key, before={"revoked": False}, after=after, reason=reason
        )
    for organization_id, theirs in by_owner.items():
        await _mail(connection, settings, organization_id, theirs, said)
    return stopped


async def _mail(
    connection: Any, settings: Settings, organization_id: UUID, stopped: list[KeyRecord], said: str
) -> None:
    named = [f"{key.name} ({key.prefix}\u2026{key.last4})" for key in stopped[:NAMED_IN_MAIL]]
    more = [f"and {len(stopped) - len(named):,} more"] if len(stopped) > len(named) else []
    slug = stopped[0].organization_slug
    values = {
        "organization": await connection.fetchval("select name from organization where id = $1", organization_id),
        "count": f"{len(stopped):,}",
        "keys": ", ".join([*named, *more]),
        "why": WHY[said],
        "link": f"{settings.portal.base_url}/o/{slug}/keys",
    }
    await tell(connection, settings.secrets, organization_id, Permission.BUILD, "keys_revoked", values)
