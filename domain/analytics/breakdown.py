"""Usage of a window by key, service and operation: the most used, by name."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.access import Access, Permission
from domain.analytics import sources
from domain.analytics.sources import SUMS, Filter, Parameters
from domain.analytics.windows import Window
from domain.ingesting.grains import EVERY
from domain.log_store.old_rollups import OldRollups
from domain.log_store.store import LogStore
from domain.snapshots import NO_ID

MOST = 20
"""Lines of a breakdown."""
MOST_OPERATIONS = 2_000
_CANDIDATES = 30
"""Keys of which the most used are found: each costs a look at every hour or day of the window."""

_TOTALS = ", ".join(f"sum({name})::bigint as {name}" for name in SUMS)
_PLAIN = ", ".join(SUMS)
_OF_ROW = ", ".join(f"r.{name}" for name in SUMS)
_BY_OPERATION = frozenset({"service_id", "operation_id"})
_BY_KEY = frozenset({"key_id"})


@dataclass(frozen=True, slots=True)
class Line:
    """One key, service or operation, with its figures; `gone` says that it was deleted, and its name is its short id.

    `detail` tells lines of one name apart: a key's ending, an operation's service.
    """

    id: UUID
    name: str
    detail: str
    gone: bool
    requests: int
    errors: int
    refused: int
    bytes_in: int
    bytes_out: int
    cost_micro: int


@dataclass(frozen=True, slots=True)
class Breakdown:
    """At most MOST lines each, most requests first."""

    keys: tuple[Line, ...]
    services: tuple[Line, ...]
    operations: tuple[Line, ...]


async def read_breakdown(connection: Any, access: Access, window: Window, wanted: Filter, logs: LogStore) -> Breakdown:
    """The breakdown of the access's organization. Keys are the most used of the
    30 that its weeks name. Raises what the log store raises, for windows that it has a part of.
    """
    access.require(Permission.VIEW)
    organization_id, whole = access.organization_id, window.whole()
    of_operations = of_keys = None
    if await logs.has_moved(connection, window.start):
        if wanted.key_id is not None:
            asked = sources.asked(organization_id, whole, wanted, _BY_OPERATION)
            of_operations = await logs.rollups(connection, asked)
        candidates = await connection.fetchval(*_candidate_keys(organization_id, window, wanted))
        of_keys = await logs.rollups(connection, sources.asked(organization_id, whole, wanted, _BY_KEY, candidates))
    rows = await connection.fetch(*_operations(organization_id, window, wanted, of_operations))
    keys = await connection.fetch(*_keys(organization_id, window, wanted, of_keys))
    return Breakdown(
        keys=tuple(_line(row, row["key_id"], row["name"], row["ending"] or "", "key") for row in keys),
        services=tuple(_services(rows)[:MOST]),
        operations=tuple(
            _line(row, row["operation_id"], row["name"], row["service"] or "", "operation") for row in rows[:MOST]
        ),
    )


def _operations(organization_id: UUID, window: Window, wanted: Filter, old: OldRollups | None) -> tuple[Any, ...]:
    parameters = Parameters(organization_id)
    pieces = sources.pieces(parameters, window.whole())
    kept = sources.operations(parameters, wanted, old)
    ids = f"coalesce(r.service_id, '{NO_ID}') as service_id, coalesce(r.operation_id, '{NO_ID}') as operation_id,"
    fresh = sources.fresh(parameters, wanted, (window.start, window.edges[-1]), ids)
    statement = f"""
with used as (
    select service_id, operation_id, {_TOTALS} from (
        select r.service_id, r.operation_id, {_OF_ROW} from {pieces} {kept}
        union all select service_id, operation_id, {_PLAIN} from ({fresh}) as row) as part
     group by service_id, operation_id
)
select used.*, o.name, s.name as service, s.slug
  from used left join operation o on o.id = used.operation_id left join service s on s.id = used.service_id
 order by requests desc, used.service_id, used.operation_id limit {MOST_OPERATIONS}
"""
    return statement, *parameters.values


def _keys(organization_id: UUID, window: Window, wanted: Filter, old: OldRollups | None) -> tuple[Any, ...]:
    parameters = Parameters(organization_id)
    pieces = sources.pieces(parameters, window.whole())
    fresh = _fresh_by_key(parameters, window, wanted)
    kept = sources.keys(parameters, wanted, "(select array_agg(key_id) from candidate)::uuid[]", old)
    statement = f"""
with fresh as materialized ({fresh}), candidate as materialized ({_candidates(parameters, window, wanted)}), used as (
    select key_id, {_TOTALS} from (
        select r.key_id, {_OF_ROW} from {pieces} {kept}
        union all select key_id, {_PLAIN} from fresh) as part
     group by key_id order by sum(requests) desc, key_id limit {MOST}
)
select used.*, k.name, k.prefix || '\u2026' || k.last4 as ending
  from used left join api_key k on k.id = used.key_id and k.organization_id = $1
 order by requests desc, used.key_id
"""
    return statement, *parameters.values


def _candidate_keys(organization_id: UUID, window: Window, wanted: Filter) -> tuple[Any, ...]:
    """The same candidates as `_keys` has, as an array."""
    parameters = Parameters(organization_id)
    fresh = _fresh_by_key(parameters, window, wanted)
    candidates = _candidates(parameters, window, wanted)
    statement = f"""
with fresh as materialized ({fresh}), candidate as materialized ({candidates})
select coalesce(array_agg(key_id), '{{}}')::uuid[] from candidate
"""
    return statement, *parameters.values


def _fresh_by_key(parameters: Parameters, window: Window, wanted: Filter) -> str:
    ids = f"coalesce(r.key_id, '{NO_ID}') as key_id,"
    return sources.fresh(parameters, wanted, (window.start, window.edges[-1]), ids)


def _candidates(parameters: Parameters, window: Window, wanted: Filter) -> str:
    """Keys that may be among the most used: that of the filter, or by whole weeks, which hold one row for each key.

    Days hold one for each key and operation: 5,000 keys would be half a million rows in a week.
    """
    if wanted.key_id is not None:
        return f"select {parameters.add(wanted.key_id)} as key_id"
    since = f"date_trunc('week', {parameters.add(window.start, 'timestamptz')}, 'UTC')"
    return f"""
        (select key_id from usage_summary where organization_id = $1 and grain = 'week' and bucket >= {since}
            and key_id <> {parameters.add(EVERY)}
          group by key_id order by sum(requests) desc, key_id limit {_CANDIDATES})
        union (select distinct key_id from fresh limit {_CANDIDATES})"""


def _services(rows: Iterable[Any]) -> list[Line]:
    """The operations' figures, summed by service."""
    sums: dict[UUID, dict[str, Any]] = {}
    for row in rows:
        known = sums.setdefault(row["service_id"], {**dict.fromkeys(SUMS, 0), "row": row})
        for name in SUMS:
            known[name] += row[name]
    lines = [
        _line(found, service_id, found["row"]["service"], found["row"]["slug"] or "", "service")
        for service_id, found in sums.items()
    ]
    return sorted(lines, key=lambda line: (-line.requests, line.name))


_NAMELESS = {
    "key": "No valid key",
    "service": "No service",
    "operation": "Other paths",
}
"""What stands in rollups without an id: refused before a key or a service was found; paths that no operation declares."""


def _line(row: Any, id_: UUID, name: str | None, detail: str, kind: str) -> Line:
    nameless = id_ == NO_ID
    shown = name or (_NAMELESS[kind] if nameless else f"Deleted {kind} {str(id_)[:8]}")
    figures: dict[str, int] = {field: row[field] for field in SUMS}
    return Line(id=id_, name=shown, detail=detail, gone=name is None and not nameless, **figures)
