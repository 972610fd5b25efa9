"""An organization's request logs by filters that combine: newest first, in bounded steps.

What few rows fulfil is not looked for through millions of rows at once. A search looks at a step of rows along an index,
goes on while there is time, and then says how far back it came; the next one goes on from there. Every statement names
the organization itself.
"""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Any
from uuid import UUID

from domain.cursors import Cursor
from domain.log_reading import ENTRIES, NAMED, LogEntry
from domain.looking_back import FIRST_STEP, PLANNING, SORTING, STATEMENT_SECONDS, STEP, look_back, one_step
from domain.request_ids import time_of

BUDGET_SECONDS = 0.12

_FIELDS = len(fields(LogEntry))

BAD = 400
"""Statuses from here on have an index of their own; the statement says so in the words of that index."""

AROUND_AN_ID = timedelta(days=1)

_STEP = """
select {columns} from (
    select {columns}, row_number() over () as number, {matches} as matches
      from (select r.* from request_log r where {along} order by r.at desc, r.id desc limit {limit}) as r) as looked_at
 where matches or number = {limit} limit {most}
"""
_PLACES = _STEP.replace("{columns}", "id, at, number, matches", 1).replace("{columns}", "id, at")
_BATCH = NAMED.format(", r.number, r.matches", _STEP.replace("{columns}", "*", 1).replace("{columns}", "r.*"))
_ENTRIES = ENTRIES.format("where r.organization_id = $1 and r.at between $2 and $3 and r.id = any($4::uuid[])", "$5")
_ENTRY = ENTRIES.format("where r.organization_id = $1 and r.id = $2 and r.at between $3 and $4", "1")


@dataclass(frozen=True, slots=True)
class LogSearch:
    """Which rows; None or empty does not restrict. From `since` on and before `until`.

    `status` is one from `lowest_status` to `highest_status`; `service` a slug; `path` a beginning; `least_us` the least
    time from first to last byte in microseconds; `client` an address or a network; `stored_from` leaves out what was stored
    before.
    """

    since: datetime | None = None
    until: datetime | None = None
    key_ids: tuple[UUID, ...] = ()
    service: str | None = None
    operation_id: UUID | None = None
    lowest_status: int | None = None
    highest_status: int | None = None
    outcome: str | None = None
    refusal: str | None = None
    method: str | None = None
    path: str | None = None
    request_id: UUID | None = None
    least_us: int | None = None
    client: IPv4Network | IPv6Network | None = None
    stored_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class FoundLogs:
    """Some of the rows, newest first. `following` is where to go on; None: that was all.

    `looked_back_to`: time ran out; later rows than this were all looked at.
    """

    entries: list[LogEntry]
    following: Cursor | None
    looked_back_to: datetime | None = None


async def search_logs(
    connection: Any,
    organization_id: UUID,
    wanted: LogSearch,
    *,
    after: Cursor | None = None,
    limit: int = 50,
    seconds: float = BUDGET_SECONDS,
    first_step: int = FIRST_STEP,
    step: int = STEP,
) -> FoundLogs:
    """At most `limit` rows behind `after`. Stops after about `seconds`, with one step at the least.

    Raises TimeoutError if the database takes STATEMENT_SECONDS for a step.
    """

    async def look(place: Cursor | None, size: int, most: int) -> tuple[list[Any], Cursor | None]:
        return await _look(connection, _PLACES, organization_id, wanted, place, size, most)

    async with connection.transaction(readonly=True):
        await connection.execute(PLANNING)
        found = await look_back(look, after, limit=limit, seconds=seconds, first_step=first_step, step=step)
        await connection.execute(SORTING)
        entries = await _entries(connection, organization_id, found.keys)
    return FoundLogs(entries, found.following, found.looked_back_to)


async def find_log(connection: Any, organization_id: UUID, request_id: UUID) -> LogEntry | None:
    """One row of the organization by its request id; None if it is in no log (any more), or another's."""
    made = time_of(request_id)
    if made is None:
        return None
    row = await connection.fetchrow(_ENTRY, organization_id, request_id, made - AROUND_AN_ID, made + AROUND_AN_ID)
    return LogEntry(**row) if row else None


async def has_logs(connection: Any, organization_id: UUID) -> bool:
    """Whether the organization has any row at all."""
    found: bool = await connection.fetchval(
        "select exists (select from request_log where organization_id = $1)", organization_id
    )
    return found


async def take_batch(
    connection: Any, organization_id: UUID, wanted: LogSearch, *, after: Cursor | None, limit: int
) -> FoundLogs:
    """At most `limit` rows behind `after`, fewer or none where few of the next STEP rows match: for who wants them all.

    Raises TimeoutError if the database takes STATEMENT_SECONDS.
    """
    async with connection.transaction(readonly=True):
        await connection.execute(PLANNING)
        rows, end = await _look(connection, _BATCH, organization_id, wanted, after, STEP, limit)
    entries = [LogEntry(*row[:_FIELDS]) for row in rows if row["matches"]]
    return FoundLogs(entries, end)


async def _look(
    connection: Any,
    statement: str,
    organization_id: UUID,
    wanted: LogSearch,
    after: Cursor | None,
    size: int,
    most: int,
) -> tuple[list[Any], Cursor | None]:
    values: list[Any] = [organization_id]
    along = " and ".join(["r.organization_id = $1", *_along(wanted, after, values)])
    matches = " and ".join(_matches(wanted, values)) or "true"
    values += [size, most]
    places = {"limit": f"${len(values) - 1}", "most": f"${len(values)}"}
    return await one_step(connection, statement.format(along=along, matches=matches, **places), values, size, most)


def _along(wanted: LogSearch, after: Cursor | None, values: list[Any]) -> list[str]:
    """The conditions by which an index is gone along: never two that each have one, for then a step has no bound."""

    def place(value: Any) -> str:
        values.append(value)
        return f"${len(values)}"

    conditions = []
    if after is not None:
        at = place(after.at)
        conditions.append(f"r.at <= {at} and (r.at < {at} or r.id < {place(after.id)})")
    if wanted.since is not None:
        conditions.append(f"r.at >= {place(wanted.since)}")
    if wanted.until is not None:
        conditions.append(f"r.at < {place(wanted.until)}")
    if wanted.request_id is not None:
        conditions.append(_by_id(wanted.request_id, place))
    if len(wanted.key_ids) == 1:
        conditions.append(f"r.key_id = {place(wanted.key_ids[0])}")
    elif (wanted.lowest_status or 0) >= BAD:
        conditions.append(f"r.status >= {BAD}")
    return conditions


def _by_id(request_id: UUID, place: Any) -> str:
    made = time_of(request_id)
    if made is None:
        return "false"
    near = f"between {place(made - AROUND_AN_ID)} and {place(made + AROUND_AN_ID)}"
    return f"r.id = {place(request_id)} and r.at {near}"


def _matches(wanted: LogSearch, values: list[Any]) -> list[str]:
    """The conditions on the rows that are looked at."""
    parts = (
        ("r.key_id = any({}::uuid[])", list(wanted.key_ids) if len(wanted.key_ids) > 1 else None),
        ("r.service_id = (select id from service where slug = {})", wanted.service),
        ("r.operation_id = {}", wanted.operation_id),
        ("r.status >= {}", wanted.lowest_status),
        ("r.status <= {}", wanted.highest_status),
        ("r.outcome = {}", wanted.outcome),
        ("r.refusal = {}", wanted.refusal),
        ("r.method = {}", wanted.method),
        ("starts_with(r.path, {})", wanted.path),
        ("r.total_us >= {}", wanted.least_us),
        ("r.client <<= {}::text::inet", str(wanted.client) if wanted.client else None),
        ("r.created_at >= {}", wanted.stored_from),
    )
    conditions = []
    for text, value in parts:
        if value is not None:
            values.append(value)
            conditions.append(text.format(f"${len(values)}"))
    return [f"coalesce({' and '.join(conditions)}, false)"] if conditions else []


async def _entries(connection: Any, organization_id: UUID, found: list[tuple[UUID, datetime]]) -> list[LogEntry]:
    if not found:
        return []
    ids = [key for key, _ in found]
    rows = await connection.fetch(
        _ENTRIES, organization_id, found[-1][1], found[0][1], ids, len(ids), timeout=STATEMENT_SECONDS
    )
    return [LogEntry(**row) for row in rows]
