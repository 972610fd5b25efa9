"""What reports say in the same words: names of what ids stand for, shares, times, filters of the log search, sources."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.histogram import percentile
from domain.ingesting.grains import EVERY
from domain.reports.shapes import LogFilters, Named, ReportChoice
from domain.snapshots import NO_ID

_NAMES = """
select 'service' as kind, id, name, slug as detail from service where id = any($1)
union all
select 'operation', o.id, o.name, s.slug from operation o join service s on s.id = o.service_id where o.id = any($1)
union all
select 'organization', id, name, slug from organization where id = any($1)
union all
select 'key', id, name, prefix || '\u2026' || last4 from api_key where id = any($1)
"""
_UNFOLDED = "select min(first_at) from usage_unfolded"
_NAMELESS = {
    "service": "No service",
    "operation": "Other paths",
    "key": "No valid key",
    "organization": "Nobody",
}
"""What stands in sums without an id: refused before a key or a service was found; paths that no operation declares."""


class Names:
    """Names of ids, those of what is gone too."""

    def __init__(self, rows: Iterable[Any] = ()) -> None:
        self._known = {(row["kind"], row["id"]): Named(row["id"], row["name"], row["detail"] or "") for row in rows}

    def of(self, kind: str, id_: UUID) -> Named:
        """The thing of that kind."""
        if id_ == EVERY:
            return Named(None, "All")
        if id_ == NO_ID:
            return Named(None, _NAMELESS[kind])
        return self._known.get((kind, id_)) or Named(id_, f"Deleted {kind} {str(id_)[:8]}")


async def read_names(connection: Any, ids: Iterable[UUID]) -> Names:
    """The names of services, operations, organizations and keys."""
    wanted = list(set(ids) - {EVERY, NO_ID})
    return Names(await connection.fetch(_NAMES, wanted)) if wanted else Names()


async def up_to(connection: Any, choice: ReportChoice) -> str:
    """Until when rollups are whole, as a sentence."""
    first: datetime | None = await connection.fetchval(_UNFOLDED)
    end = choice.window.end
    if first is not None and first < end:
        return f"Complete up to {max(first, choice.window.since):%Y-%m-%d %H:%M:%S} UTC: later requests are being summed up."
    return f"Complete up to {end:%Y-%m-%d %H:%M:%S} UTC."


def percent(part: float | None, whole: float | None) -> float | None:
    """So many of 100, with two decimals; None of nothing."""
    return None if part is None or not whole else round(100 * part / whole, 2)


def change_percent(now: float, before: float) -> float | None:
    """How much more (or, below 0, less) than before; None if there was nothing before."""
    return percent(now - before, before)


def milliseconds(microseconds: float | None) -> float | None:
    """With three decimals."""
    return None if microseconds is None else round(microseconds / 1_000, 3)


def latency_ms(counts: list[int] | None, share: float) -> float | None:
    """A percentile of a histogram."""
    return milliseconds(percentile(counts or (), share))


def log_filters(choice: ReportChoice, **more: str | None) -> LogFilters:
    """The filters of the rows of a window, with those of the choice. None and empty ones are left out."""
    window = choice.window
    filters: dict[str, str | None] = {
        "organization": choice.organization.detail if choice.organization else None,
        "from": window.since.isoformat(),
        "to": window.until.isoformat(),
        "service": choice.service.detail if choice.service else None,
        "operation": str(choice.operation.id) if choice.operation else None,
    }
    return {name: text for name, text in {**filters, **more}.items() if text}


def id_text(thing: Named) -> str | None:
    """For a filter that takes ids."""
    return None if thing.id is None else str(thing.id)
