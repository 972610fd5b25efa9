"""Usage of one organization over a window: its slots, their total, and the window before. One query."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.access import Access, Permission
from domain.analytics import sources
from domain.analytics.figures import CLASSES, Figures, total
from domain.analytics.sources import SUMS, Filter, Parameters
from domain.analytics.windows import PREVIOUS, Window
from domain.histogram import BUCKETS, EDGES_US
from domain.log_store.old_rollups import OldRollups
from domain.log_store.store import LogStore

_OTHERS = ", ".join("0" for _ in SUMS[1:])
_TOTALS = ", ".join(f"sum({name})::bigint" for name in SUMS)
_BY = frozenset({"bucket", "status_class"})


@dataclass(frozen=True, slots=True)
class Series:
    """`slots` are those of the window, in order; `total` is all of them.

    `elapsed` is the total without the present hour: what is as long as `before`, and may be compared with it.
    """

    window: Window
    slots: tuple[Figures, ...]
    elapsed: Figures
    before: Figures

    @property
    def total(self) -> Figures:
        """All slots together."""
        return total(self.slots)


async def read_series(connection: Any, access: Access, window: Window, wanted: Filter, logs: LogStore) -> Series:
    """The series of the access's organization. Raises what the log store raises, for long windows of one key."""
    access.require(Permission.VIEW)
    return await series_of(connection, access.organization_id, window, wanted, logs)


async def series_of(connection: Any, organization_id: UUID, window: Window, wanted: Filter, logs: LogStore) -> Series:
    """The same for whoever may look at any organization."""
    old = None
    if wanted.key_id is not None:
        old = await logs.rollups(connection, sources.asked(organization_id, window.pieces(), wanted, _BY))
    statement, parameters = _statement(organization_id, window, wanted, old)
    found = _figures(await connection.fetch(statement, *parameters))
    nothing, last = Figures(), len(window.edges) - 1
    plain = [found.get(slot, nothing) for slot in range(1, last + 1)]
    present = found.get(window.present, nothing)
    return Series(
        window=window,
        slots=(*plain[:-1], total((plain[-1], present))),
        elapsed=total(plain),
        before=found.get(PREVIOUS, nothing),
    )


def _statement(organization_id: UUID, window: Window, wanted: Filter, old: OldRollups | None) -> tuple[str, list[Any]]:
    parameters = Parameters(organization_id)
    pieces = sources.pieces(parameters, window.pieces())
    kept = sources.totals(parameters, wanted, old)
    fresh = sources.fresh(parameters, wanted, (window.before, window.edges[-1]))
    slot = _slot_of(parameters, window)
    latency_edges = parameters.add(list(EDGES_US), "bigint[]")
    sums = ", ".join(f"r.{name}" for name in SUMS)
    statement = f"""
with kept as materialized (
    select p.slot, r.status_class, {sums}, r.latency from {pieces} {kept}
), fresh as materialized (
    select {slot} as slot, status_class, {", ".join(SUMS)},
           width_bucket(total_us, {latency_edges}) + 1 as place
      from ({fresh}) as row
)
select slot, status_class::int, null::int as place, {_TOTALS} from (
    select slot, status_class, {", ".join(SUMS)} from kept
    union all select slot, status_class, {", ".join(SUMS)} from fresh) as part
 where slot is not null group by slot, status_class
union all
select slot, null, place::int, sum(n)::bigint, {_OTHERS} from (
    select slot, u.place, u.n from kept, unnest(latency) with ordinality as u (n, place) where u.n > 0
    union all select slot, place, 1 from fresh) as counts
 where slot is not null group by slot, place
"""
    return statement, parameters.values


def _slot_of(parameters: Parameters, window: Window) -> str:
    """The slot of a row by its `at`; null between the window before and the first slot."""
    hour = parameters.add(window.hour, "timestamptz")
    before_end = parameters.add(window.before_end, "timestamptz")
    edges = parameters.add(list(window.edges), "timestamptz[]")
    present = parameters.add(window.present, "int")
    inside = f"nullif(width_bucket(at, {edges}), 0)"
    return f"case when at >= {hour} then {present} when at < {before_end} then {PREVIOUS} else {inside} end"


def _figures(rows: list[Any]) -> dict[int, Figures]:
    sums: dict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(SUMS, 0))
    classes: dict[int, list[int]] = defaultdict(lambda: [0] * CLASSES)
    refused: dict[int, list[int]] = defaultdict(lambda: [0] * CLASSES)
    latency: dict[int, list[int]] = defaultdict(lambda: [0] * BUCKETS)
    for slot, status_class, place, *values in rows:
        if place is not None:
            latency[slot][place - 1] += values[0]
            continue
        for name, value in zip(SUMS, values, strict=True):
            sums[slot][name] += value
        classes[slot][status_class] += values[0]
        refused[slot][status_class] += values[SUMS.index("refused")]
    return {
        slot: Figures(
            **figures,
            by_class=tuple(classes[slot]),
            refused_by_class=tuple(refused[slot]),
            latency=latency[slot],
        )
        for slot, figures in sums.items()
    }
