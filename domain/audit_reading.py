"""Reading the audit of one's own organization: pages, filters, and which of the things are still there."""

import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.access import Access, Permission
from domain.audit import BY_COMMAND
from domain.audit_sentences import GROUPS, phrase_of
from domain.cursors import Cursor, parse_cursor
from domain.databases import Pool
from domain.faults import InvalidValue

CHUNK = 1_000
OPERATOR = "Operator"
_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_TABLES = {
    "api_key": "select id from api_key where organization_id = $1 and id = any($2)",
    "webhook_endpoint": "select id from webhook_endpoint where organization_id = $1 and deleted_at is null and id = any($2)",
    "webhook_delivery": "select id from webhook_delivery where organization_id = $1 and id = any($2)",
}
# Who operates the product, in the back office or by a command, is not for its customers: neither the name nor the address.
_OURS = f"(a.actor_kind = 'operator' or (a.actor_kind = 'system' and a.actor_name like '{BY_COMMAND}%'))"
_LIST = (
    f"select a.id, a.created_at, case when {_OURS} then 'operator' else a.actor_kind end as actor_kind,"
    f" case when not {_OURS} then a.actor_id end as actor_id, case when {_OURS} then '' else a.actor_name end as actor_email,"
    " trim(coalesce(u.first_name, '') || ' ' || coalesce(u.last_name, '')) as actor_name, a.verb, a.object_type, a.object_id,"
    " a.object_name, a.before, a.after, a.reason,"
    f" case when {_OURS} then '' else a.address end as address, a.request_id"
    " from audit_entry a left join users u on a.actor_kind = 'user' and u.id = a.actor_id"
    " where a.organization_id = $1 and ($2::int is null or (a.actor_kind = 'user' and a.actor_id = $2))"
    " and ($3::text is null or split_part(a.verb, '.', 1) = $3)"
    " and ($4::timestamptz is null or a.created_at >= $4) and ($5::timestamptz is null or a.created_at < $5)"
    " and ($6::timestamptz is null or (a.created_at, a.id) < ($6, $7::uuid))"
    " order by a.created_at desc, a.id desc limit $8"
)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries: None leaves a side open. `since` is included, `until` is not."""

    actor_id: int | None = None
    group: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def checked(self) -> "AuditFilter":
        """The same. Raises InvalidValue for a group that is none."""
        if self.group is not None and self.group not in GROUPS:
            raise InvalidValue(f"The group is one of {', '.join(GROUPS)}.")
        return self


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One entry. `actor_name` may be empty; `actor_email` is the one of that time, or the program's name.

    `before` and `after` hold what changed, `exists` says whether the thing can still be opened.
    """

    id: UUID
    created_at: datetime
    actor_kind: str
    actor_id: int | None
    actor_email: str
    actor_name: str
    verb: str
    object_type: str
    object_id: str
    object_name: str
    before: dict[str, Any]
    after: dict[str, Any]
    reason: str
    address: str
    request_id: str
    exists: bool = False

    @property
    def who(self) -> str:
        """Who acted, as people call them."""
        if self.actor_kind == "operator":
            return OPERATOR
        return self.actor_name or self.actor_email or ("System" if self.actor_kind == "system" else "Somebody")

    @property
    def left(self) -> bool:
        """Whether somebody removed themselves."""
        return self.verb == "member.remove" and self.actor_kind == "user" and self.object_id == str(self.actor_id)

    @property
    def phrase(self) -> str:
        """What was done, without the thing."""
        return "left the organization" if self.left else phrase_of(self.verb)[0]

    @property
    def names_object(self) -> bool:
        """Whether the thing is named behind the phrase."""
        return phrase_of(self.verb)[1] and not self.left

    @property
    def what(self) -> str:
        """What was done, as a sentence without who did it."""
        return f"{self.phrase} {self.object_name or self.object_id}".strip() if self.names_object else self.phrase

    @property
    def changes(self) -> list[tuple[str, Any, Any]]:
        """Each field that changed, before and after; None where it was not."""
        return [(name, self.before.get(name), self.after.get(name)) for name in {**self.before, **self.after}]


async def list_audit(
    connection: Any, access: Access, which: AuditFilter, *, cursor: str | None = None, limit: int = 50
) -> tuple[list[AuditRecord], str | None]:
    """A page of the organization's entries, newest first, and the next cursor. Raises Forbidden, InvalidValue."""
    access.require(Permission.AUDIT_VIEW)
    rows = await _fetch(connection, access, which.checked(), parse_cursor(cursor), limit + 1)
    there = await _existing(connection, access, rows[:limit])
    records = [_record(row, there) for row in rows[:limit]]
    return records, str(Cursor(records[-1].created_at, records[-1].id)) if len(rows) > limit else None


async def list_actors(connection: Any, access: Access, *, most: int = 500) -> list[tuple[int, str]]:
    """Ids and addresses of the members, to choose from. Raises Forbidden."""
    access.require(Permission.AUDIT_VIEW)
    rows = await connection.fetch(
        "select u.id, u.email from membership m join users u on u.id = m.user_id where m.organization_id = $1"
        " order by u.email limit $2",
        access.organization_id,
        most,
    )
    return [(row["id"], row["email"]) for row in rows]


async def stream_audit(pool: Pool, access: Access, which: AuditFilter) -> AsyncIterator[list[AuditRecord]]:
    """All entries in chunks, newest first. Between two chunks no connection is held: the reader may be slow."""
    access.require(Permission.AUDIT_VIEW)
    which, cursor = which.checked(), None
    while True:
        async with pool.acquire() as connection:
            rows = await _fetch(connection, access, which, cursor, CHUNK)
        yield [_record(row, frozenset()) for row in rows]
        if len(rows) < CHUNK:
            return
        cursor = Cursor(rows[-1]["created_at"], rows[-1]["id"])


async def _fetch(connection: Any, access: Access, which: AuditFilter, after: Cursor | None, limit: int) -> Any:
    return await connection.fetch(
        _LIST,
        access.organization_id,
        which.actor_id,
        which.group,
        _in_utc(which.since),
        _in_utc(which.until),
        after.at if after else None,
        after.id if after else None,
        limit,
    )


async def _existing(connection: Any, access: Access, rows: Iterable[Any]) -> frozenset[tuple[str, str]]:
    """Those of the things that can still be opened."""
    ids: dict[str, set[UUID]] = {}
    for row in rows:
        if row["object_type"] in _TABLES and (key := _uuid(row["object_id"])) is not None:
            ids.setdefault(row["object_type"], set()).add(key)
    found: set[tuple[str, str]] = set()
    for kind, keys in ids.items():
        for row in await connection.fetch(_TABLES[kind], access.organization_id, list(keys)):
            found.add((kind, str(row["id"])))
    return frozenset(found)


def _record(row: Any, there: frozenset[tuple[str, str]]) -> AuditRecord:
    fields = dict(row)
    before, after = (json.loads(text) if (text := fields.pop(name)) else {} for name in ("before", "after"))
    exists = (fields["object_type"], fields["object_id"]) in there
    return AuditRecord(**fields, before=before, after=after, exists=exists)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _in_utc(at: datetime | None) -> datetime | None:
    """The moment in UTC; the first or last one that there is, if it lies beyond."""
    if at is None:
        return None
    try:
        return at.astimezone(UTC)
    except OverflowError:
        return _FIRST if at.year == 1 else _LAST
