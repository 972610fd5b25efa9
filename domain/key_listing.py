"""An organization's API keys as its members look at them: in pages, with who made each and what it was rotated to."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.access import Access, Permission
from domain.cursors import Cursor
from domain.faults import NotFound
from domain.key_records import ALIVE, COLUMNS, KeyRecord, record_of

STATES = ("active", "expired", "revoked")
PAGE_SIZE = 50

_SELECT = f"""
    select {COLUMNS}, coalesce(nullif(trim(coalesce(u.first_name, '') || ' ' || coalesce(u.last_name, '')), ''), u.email)
           as made_by, s.id as next_id, s.prefix as next_prefix, s.last4 as next_last4,
           b.id as former_id, b.prefix as former_prefix, b.last4 as former_last4
    from page k join organization o on o.id = k.organization_id
    left join users u on u.id = k.created_by
    left join api_key b on b.id = k.rotated_from
    left join lateral (
        select n.id, n.prefix, n.last4 from api_key n where n.rotated_from = k.id
        order by n.revoked_at is null desc, n.created_at desc limit 1) s on true
"""
# The page is cut before anything is joined to its keys.
_LIST = f"""
    with page as materialized (
        select * from api_key k where k.organization_id = $1
          and case $2::text when 'active' then {ALIVE} when 'revoked' then k.revoked_at is not null
              when 'expired' then k.revoked_at is null and k.expires_at <= now() else true end
          and ($3::text = '' or strpos(lower(k.name), lower($3)) > 0 or starts_with(k.prefix, $3))
          and ($4::timestamptz is null or (k.created_at, k.id) < ($4, $5::uuid))
        order by k.created_at desc, k.id desc limit $6)
    {_SELECT} order by k.created_at desc, k.id desc
"""
_ONE = f"with page as (select * from api_key where organization_id = $1 and id = $2) {_SELECT}"
_COUNT = f"""
    select count(*) as all, count(*) filter (where {ALIVE}) as active,
           count(*) filter (where k.revoked_at is null and k.expires_at <= now()) as expired,
           count(*) filter (where k.revoked_at is not null) as revoked
    from api_key k where k.organization_id = $1
"""


@dataclass(frozen=True, slots=True)
class KeyReference:
    """Another key, by what is no secret of it."""

    id: UUID
    prefix: str
    last4: str


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One key. `made_by` is None for an operator or a program; `former` is what it replaces, `successor` what replaces it."""

    record: KeyRecord
    made_by: str | None
    former: KeyReference | None
    successor: KeyReference | None


@dataclass(frozen=True, slots=True)
class KeyList:
    """One page, newest first; `following` begins the next, None on the last."""

    entries: tuple[KeyEntry, ...]
    following: Cursor | None


async def list_entries(
    connection: Any,
    access: Access,
    *,
    state: str = "",
    search: str = "",
    cursor: Cursor | None = None,
    limit: int = PAGE_SIZE,
) -> KeyList:
    """Keys in a state of STATES (empty: in any) whose name has `search` in it, or whose prefix begins so."""
    access.require(Permission.VIEW)
    rows = await connection.fetch(
        _LIST,
        access.organization_id,
        state,
        printable(search),
        cursor.at if cursor else None,
        cursor.id if cursor else None,
        limit + 1,
    )
    entries = tuple(_entry(row) for row in rows[:limit])
    last = entries[-1].record if len(rows) > limit else None
    return KeyList(entries, Cursor(last.created_at, last.id) if last else None)


async def count_keys(connection: Any, access: Access) -> dict[str, int]:
    """How many keys there are: `all`, and in each of STATES."""
    access.require(Permission.VIEW)
    return dict(await connection.fetchrow(_COUNT, access.organization_id))


async def fetch_entry(connection: Any, access: Access, key_id: UUID) -> KeyEntry:
    """One key of the organization. Raises NotFound, also for another organization's."""
    access.require(Permission.VIEW)
    row = await connection.fetchrow(_ONE, access.organization_id, key_id)
    if row is None:
        raise NotFound("There is no such API key.")
    return _entry(row)


def printable(text: str) -> str:
    """`text` with blanks for what cannot be printed (PostgreSQL takes no NUL), without space around it."""
    return "".join(character if character.isprintable() else " " for character in text).strip()


def _entry(row: Any) -> KeyEntry:
    values = dict(row)
    made_by = values.pop("made_by")
    former, successor = _reference(values, "former"), _reference(values, "next")
    return KeyEntry(record_of(values), made_by, former, successor)


def _reference(values: dict[str, Any], which: str) -> KeyReference | None:
    key_id, prefix, last4 = (values.pop(f"{which}_{column}") for column in ("id", "prefix", "last4"))
    return None if key_id is None else KeyReference(key_id, prefix, last4)
