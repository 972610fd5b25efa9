"""Where figures of usage come from: summaries, the rollups of one key, and what has not been folded into either yet.

Each statement sees all of it at one moment, so nothing is counted twice or left out (`domain.usage_reading`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.analytics.windows import Piece
from domain.ingesting.grains import EVERY
from domain.log_store.old_rollups import Asked, OldRollups, Range, everywhere


@dataclass(frozen=True, slots=True)
class Filter:
    """What is looked at; None is all of it."""

    key_id: UUID | None = None
    service_id: UUID | None = None
    operation_id: UUID | None = None

    @property
    def any(self) -> bool:
        """Whether something is left out."""
        return (self.key_id, self.service_id, self.operation_id) != (None, None, None)


class Parameters:
    """Values of a statement, numbered in the order in which they are named."""

    def __init__(self, *values: Any) -> None:
        self.values: list[Any] = list(values)

    def add(self, value: Any, kind: str = "uuid") -> str:
        """The placeholder of one more."""
        self.values.append(value)
        return f"${len(self.values)}::{kind}"


SUMS = ("requests", "errors", "refused", "bytes_in", "bytes_out", "cost_micro")
_FRESH_ERROR = "(r.status >= 400 or r.outcome in ('failed', 'cut'))"
_CLASS = "case when r.status between 100 and 599 then r.status / 100 else 0 end"
_FRESH_SUMS = f"""1::bigint as requests, {_FRESH_ERROR}::int::bigint as errors,
    (r.outcome = 'refused' and r.status >= 400)::int::bigint as refused, r.bytes_in, r.bytes_out, r.cost_micro"""


def pieces(parameters: Parameters, found: Sequence[Piece]) -> str:
    """The pieces as a table `p (grain, first, next, slot)`."""
    grains, firsts, nexts, slots = zip(*found, strict=True) if found else ((), (), (), ())
    columns = (
        parameters.add(list(grains), "text[]"),
        parameters.add(list(firsts), "timestamptz[]"),
        parameters.add(list(nexts), "timestamptz[]"),
        parameters.add(list(slots), "int[]"),
    )
    return f"unnest({', '.join(columns)}) as p (grain, first, next, slot)"


def asked(
    organization_id: UUID,
    found: Sequence[Piece],
    wanted: Filter,
    by: frozenset[str],
    keys: Sequence[UUID] | None = None,
) -> Asked:
    """The rollups of the pieces and the filter, as they are asked for where some have left PostgreSQL."""
    only = [wanted.key_id] if wanted.key_id is not None else keys
    ranges = [Range(one.grain, one.first, one.next) for one in found]
    return Asked([organization_id], ranges, by, only, wanted.service_id, wanted.operation_id)


def totals(parameters: Parameters, wanted: Filter, old: OldRollups | None) -> str:
    """Joins to `p` the fewest rows `r` whose sums are those of the filter. $1 is the organization.

    Here and below `old` is what left PostgreSQL of the rollups, and only counts where the filter names a key.
    """
    if wanted.key_id is None:
        of_service = EVERY if wanted.operation_id is None else None
        conditions = {
            "key_id": EVERY,
            "service_id": wanted.service_id or of_service,
            "operation_id": wanted.operation_id or EVERY,
        }
        return _joined("usage_summary", parameters, conditions)
    return _rollups(parameters, _conditions(wanted), old)


def operations(parameters: Parameters, wanted: Filter, old: OldRollups | None) -> str:
    """Joins to `p` the rows `r` of each operation in the filter."""
    if wanted.key_id is not None:
        return _rollups(parameters, _conditions(wanted), old)
    conditions = {**_conditions(wanted), "key_id": EVERY}
    return _joined("usage_summary", parameters, conditions, f"operation_id <> {parameters.add(EVERY)}")


def keys(parameters: Parameters, wanted: Filter, which: str, old: OldRollups | None) -> str:
    """Joins to `p` the rows `r` of these keys in the filter; `which` is an SQL array."""
    rest = Filter(None, wanted.service_id, wanted.operation_id)
    return _rollups(parameters, _conditions(rest), old, f"key_id = any({which})")


def fresh(parameters: Parameters, wanted: Filter, edges: Sequence[datetime], columns: str = "") -> str:
    """A query of the rows that no rollup holds yet between the first and the last edge: `at`, sums, `total_us`."""
    first, last = parameters.add(edges[0], "timestamptz"), parameters.add(edges[-1], "timestamptz")
    conditions = [f"r.{name} = {parameters.add(value)}" for name, value in _conditions(wanted).items()]
    where = " and ".join([f"r.at >= {first}", f"r.at < {last}", *conditions])
    return f"""
    select r.at, {columns} {_CLASS} as status_class, {_FRESH_SUMS}, r.total_us
      from usage_unfolded u join request_log r
        on r.created_at = u.stored_at and r.organization_id = $1 and r.at >= (select min(first_at) from usage_unfolded)
     where {where}"""


def _conditions(wanted: Filter) -> dict[str, UUID | None]:
    values = {"key_id": wanted.key_id, "service_id": wanted.service_id, "operation_id": wanted.operation_id}
    return {name: value for name, value in values.items() if value is not None}


def _joined(table: str, parameters: Parameters, conditions: dict[str, UUID | None], *more: str) -> str:
    """One index scan for each piece; without the `offset` PostgreSQL may read the whole table once instead."""
    where = " and ".join([_OF_PIECE, _exact(parameters, conditions, *more)])
    return f"cross join lateral (select * from {table} where {where} offset 0) as r"


def _rollups(parameters: Parameters, conditions: dict[str, UUID | None], old: OldRollups | None, *more: str) -> str:
    """The same of the rollups by key, wherever they are."""
    exact = _exact(parameters, conditions, *more)
    sent, rows = (parameters.add(old.sent, "bigint"), parameters.add(old.rows, "text")) if old else ("", "")
    return f"cross join lateral ({everywhere(old, _OF_PIECE, exact, sent, rows)} offset 0) as r"


_OF_PIECE = "grain = p.grain and bucket >= p.first and bucket < p.next"


def _exact(parameters: Parameters, conditions: dict[str, UUID | None], *more: str) -> str:
    named = [f"{name} = {parameters.add(value)}" for name, value in conditions.items() if value is not None]
    return " and ".join(["organization_id = $1", *named, *more])
