"""Rollups by key that left PostgreSQL, asked for and found: what readers of `usage_rollup` add where there is a log store.

A reader asks first how far rollups have moved (`rollup_mark`). Those of shipments up to there it reads from the log store,
and everything else from PostgreSQL, which keeps what is sent meanwhile (`usage_rollup_moved`) until nobody can be reading
by that mark any more. So each is counted once, whatever moves meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

SUMS = (
    "requests", "errors", "refused", "bytes_in", "bytes_out", "upstream_us_sum", "total_us_sum", "cost_micro",
)  # fmt: skip
IDS = ("organization_id", "key_id", "service_id", "operation_id")
COLUMNS = (*IDS, "bucket", "grain", "status_class", *SUMS, "latency")
"""Of a rollup, in the order in which they are sent."""

_TYPES = {
    **dict.fromkeys(IDS, "uuid"), **dict.fromkeys(SUMS, "bigint"),
    "bucket": "timestamptz", "grain": "text", "status_class": "smallint", "latency": "bigint[]",
}  # fmt: skip
_NAMES = ", ".join(COLUMNS)
_RECORD = ", ".join(f"{name} {_TYPES[name]}" for name in COLUMNS)


class Range(NamedTuple):
    """Rollups of one grain from `first` to before `next`."""

    grain: str
    first: datetime
    next: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rollups, and what they are summed up by.

    `by`: of the columns that say what a rollup is of, those that the reader looks at; the grain always. Without `bucket`
    the sums of a grain have the first bucket among them. None for a key, service or operation is all of them. Without
    `latency` histograms are empty.
    """

    organization_ids: Sequence[UUID]
    ranges: Sequence[Range]
    by: frozenset[str]
    key_ids: Sequence[UUID] | None = None
    service_id: UUID | None = None
    operation_id: UUID | None = None
    latency: bool = True


@dataclass(frozen=True, slots=True)
class OldRollups:
    """What the log store has: `rows` is a JSON array of rollups; columns that were not asked for are null there.

    `sent` is the mark that they were read by: PostgreSQL's rows on their way behind it belong to the reader too.
    """

    sent: int
    rows: str


def everywhere(old: OldRollups | None, bounds: str, more: str, sent: str, rows: str) -> str:
    """A query of the rollups that `bounds` and `more` are true for, wherever they are; `old` says whether any moved.

    `bounds` are conditions of grain and bucket. `more`, of the other columns, the log store has heeded already. `sent`
    and `rows` are the placeholders of what `old` has; without it they are not used.
    """
    where = " and ".join(filter(None, (bounds, more)))
    if old is None:
        return f"select {_NAMES} from usage_rollup where {where}"
    return f"""select {_NAMES} from usage_rollup where {where}
        union all select {_NAMES} from usage_rollup_moved where shipment > {sent} and {where}
        union all select {_NAMES} from jsonb_to_recordset({rows}::jsonb) as old ({_RECORD}) where {bounds}"""


def as_json_row(by: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """A row of the log store, `by`, sums and latencies in this order, as `OldRollups.rows` has it."""
    return dict(zip((*by, *SUMS, "latency"), values, strict=True))
