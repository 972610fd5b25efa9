"""The audit for operators: entries of all organizations and of none, by filters that combine, newest first.

What few entries fulfil is not looked for through millions at once. A search goes along the index of its rarest filter, looks
at a step of entries, goes on while there is time, and then says how far back it came; the next one goes on from there.
"""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.audit_sentences import phrase_of
from domain.cursors import Cursor
from domain.faults import InvalidValue
from domain.looking_back import FIRST_STEP, PLANNING, SORTING, STATEMENT_SECONDS, STEP, look_back, one_step

BUDGET_SECONDS = 0.15
MOST = 1_000

_LOOK = """
select id, at, number, matches from (
    select id, created_at as at, row_number() over () as number, {matches} as matches
      from (select a.* from audit_entry a where {along} order by a.created_at desc, a.id desc limit {size}) as a) as looked_at
 where matches or number = {size} limit {most}
"""
_EVENTS = """
select a.id, a.created_at, a.organization_id, o.slug as organization, a.actor_kind, a.actor_id, a.actor_name, a.verb,
       a.object_type, a.object_id, a.object_name, a.before, a.after, a.reason, a.address, a.request_id, l.position
  from audit_entry a left join organization o on o.id = a.organization_id left join audit_link l on l.entry_id = a.id
 where a.id = any($1::uuid[]) order by a.created_at desc, a.id desc
"""


@dataclass(frozen=True, slots=True)
class AuditSearch:
    """Which entries; None does not restrict. From `since` on and before `until`.

    `unowned`: those of no organization, such as sign-ins. `actor_name` is the e-mail address of that time, or the
    program. `verb` is one, as `key.revoke`, or a group of them, as `key`. `object_id` needs `object_type`.
    """

    organization_id: UUID | None = None
    unowned: bool = False
    actor_id: int | None = None
    actor_name: str | None = None
    verb: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One entry. `organization` is the slug, None: of none. `position` is its place in the chain, None: not sealed yet.

    `before` and `after` hold what changed, never a secret.
    """

    id: UUID
    created_at: datetime
    organization_id: UUID | None
    organization: str | None
    actor_kind: str
    actor_id: int | None
    actor_name: str
    verb: str
    object_type: str
    object_id: str
    object_name: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str
    address: str
    request_id: str
    position: int | None

    @property
    def sentence(self) -> str:
        """Who did what, in words."""
        phrase, names_object = phrase_of(self.verb)
        who = self.actor_name or (
            "System" if self.actor_kind == "system" else f"{self.actor_kind} {self.actor_id or ''}"
        )
        return " ".join(f"{who} {phrase} {(self.object_name or self.object_id) if names_object else ''}".split())

    @property
    def changes(self) -> list[tuple[str, Any, Any]]:
        """Each field that changed, before and after; None where it was not."""
        before, after = self.before or {}, self.after or {}
        return [(name, before.get(name), after.get(name)) for name in {**before, **after}]


@dataclass(frozen=True, slots=True)
class FoundEvents:
    """Some of the entries, newest first. `following` is where to go on; None: that was all.

    `looked_back_to`: time ran out; later entries than this were all looked at.
    """

    events: list[AuditEvent]
    following: Cursor | None
    looked_back_to: datetime | None = None


async def search_audit(
    connection: Any,
    wanted: AuditSearch,
    *,
    after: Cursor | None = None,
    limit: int = 50,
    seconds: float = BUDGET_SECONDS,
    step: int = STEP,
) -> FoundEvents:
    """At most `limit` (and MOST) entries behind `after`. Stops after about `seconds`, with one step at the least.

    Raises InvalidValue; TimeoutError if the database takes STATEMENT_SECONDS for a step.
    """
    _require_sense(wanted)

    async def look(place: Cursor | None, size: int, most: int) -> tuple[list[Any], Cursor | None]:
        return await one_step(connection, *_statement(wanted, place, size, most), size, most)

    first = min(FIRST_STEP, step)
    async with connection.transaction(readonly=True):
        await connection.execute(PLANNING)
        found = await look_back(look, after, limit=min(limit, MOST), seconds=seconds, first_step=first, step=step)
        await connection.execute(SORTING)
        events = await _events(connection, [key for key, _ in found.keys])
    return FoundEvents(events, found.following, found.looked_back_to)


def _require_sense(wanted: AuditSearch) -> None:
    if wanted.object_id is not None and wanted.object_type is None:
        raise InvalidValue("An object is named by its type and its id.")
    if wanted.unowned and wanted.organization_id is not None:
        raise InvalidValue("Entries are of an organization, or of none.")
    if wanted.actor_id is not None and not 0 <= wanted.actor_id < 2**31:
        raise InvalidValue("No user has that id.")
    if any("\0" in value for value in dataclasses.astuple(wanted) if isinstance(value, str)):
        raise InvalidValue("No entry has a NUL character.")


def _statement(wanted: AuditSearch, after: Cursor | None, size: int, most: int) -> tuple[str, list[Any]]:
    values: list[Any] = []

    def place(value: Any) -> str:
        values.append(value)
        return f"${len(values)}"

    along, matches = _conditions(wanted, place)
    if after is not None:
        along.append(f"(a.created_at, a.id) < ({place(after.at)}, {place(after.id)})")
    if wanted.since is not None:
        along.append(f"a.created_at >= {place(wanted.since)}")
    if wanted.until is not None:
        along.append(f"a.created_at < {place(wanted.until)}")
    statement = _LOOK.format(
        along=" and ".join(along) or "true",
        matches=f"coalesce({' and '.join(matches) or 'true'}, false)",
        size=place(size),
        most=place(most),
    )
    return statement, values


def _conditions(wanted: AuditSearch, place: Callable[[Any], str]) -> tuple[list[str], list[str]]:
    """What an index is gone along by, and what is asked of each entry there: the first that has an index leads."""
    verb, group = (wanted.verb, None) if "." in (wanted.verb or "") else (None, wanted.verb)
    of_one = wanted.organization_id is not None
    sides: tuple[tuple[bool, list[tuple[str, Any]]], ...] = (
        (True, [("a.request_id = {} and a.request_id <> ''", wanted.request_id)]),
        (
            wanted.object_id is not None,
            [("a.object_type = {}", wanted.object_type), ("a.object_id = {}", wanted.object_id)],
        ),
        (True, [("a.actor_id = {}", wanted.actor_id)]),
        (True, [("a.actor_name = {}", wanted.actor_name)]),
        (of_one, [("a.organization_id = {}", wanted.organization_id), ("a.verb = {}", verb if of_one else None)]),
        (True, [("a.verb = {}", None if of_one else verb)]),
        (True, [("split_part(a.verb, '.', 1) = {}", group)]),
        (True, [("a.organization_id is null", wanted.unowned or None)]),
    )
    along: list[str] = []
    matches: list[str] = []
    for leads, side in sides:
        told = [text.format(place(value)) if "{}" in text else text for text, value in side if value is not None]
        (along if leads and not along else matches).extend(told)
    return along, matches


async def _events(connection: Any, ids: list[UUID]) -> list[AuditEvent]:
    if not ids:
        return []
    rows = await connection.fetch(_EVENTS, ids, timeout=STATEMENT_SECONDS)
    return [AuditEvent(**{**row, "before": _parsed(row["before"]), "after": _parsed(row["after"])}) for row in rows]


def _parsed(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    value = json.loads(text)
    return value if isinstance(value, dict) else {"value": value}
