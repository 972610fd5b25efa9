"""How long callers wait, from first to last byte: by service, by operation, and the slowest operations."""

from typing import Any

from domain.reports import sums
from domain.reports.shapes import Chart, Column, Line, Report, ReportChoice
from domain.reports.words import id_text, latency_ms, log_filters, milliseconds, read_names, up_to

CANDIDATES = 60
"""Operations with the longest mean, of which the slowest by percentile are found: each costs a histogram a day."""

_LATENCY = (
    Column("requests", "Requests", "count"),
    Column("mean", "Mean", "duration_ms"),
    Column("p50", "Median", "duration_ms"),
    Column("p95", "95 of 100", "duration_ms"),
    Column("p99", "99 of 100", "duration_ms"),
)
_SERVICE = Column("service", "Service", "service")
_OPERATION = Column("operation", "Operation", "operation")
_COUNTED = "Whole time as callers waited, refused requests too, from histograms (percentiles are right within 26 %)"
_P95, _P95_OF_OPERATION = 3, 5


async def latency_by_service(connection: Any, choice: ReportChoice) -> Report:
    """Most requests first, with the percentiles over time."""
    found = await sums.by_service(connection, choice, choice.limit + 1)
    counts = await sums.latencies(connection, choice, [_pair(row) for row in found])
    names = await read_names(connection, (row["service_id"] for row in found))
    rows, filters = [], []
    for row in found[: choice.limit]:
        service = names.of("service", row["service_id"])
        figures = _figures(row, counts.get(_pair(row)))
        rows.append((service, *figures))
        filters.append(log_filters(choice, service=service.detail, min_ms=_at_least(figures)))
    return Report(
        slug="latency-by-service",
        title="Latency by service",
        sentence=f"{_COUNTED}, {choice.window.words}. {await up_to(connection, choice)}",
        columns=(_SERVICE, *_LATENCY),
        rows=tuple(rows),
        filters=tuple(filters),
        series=await _over_time(connection, choice),
        more=len(found) > choice.limit,
    )


async def latency_by_operation(connection: Any, choice: ReportChoice) -> Report:
    """Most requests first."""
    found = await sums.by_operation(connection, choice, choice.limit + 1)
    rows, filters = await _operations(connection, choice, found[: choice.limit])
    return Report(
        slug="latency-by-operation",
        title="Latency by operation",
        sentence=f"{_COUNTED}, {choice.window.words}. {await up_to(connection, choice)}",
        columns=(_OPERATION, _SERVICE, *_LATENCY),
        rows=tuple(rows),
        filters=tuple(filters),
        series=await _over_time(connection, choice),
        more=len(found) > choice.limit,
    )


async def slowest_operations(connection: Any, choice: ReportChoice) -> Report:
    """By their 95th percentile, among those with the longest mean."""
    order = "sum(total_us_sum)::numeric / sum(requests) desc"
    found = await sums.by_operation(connection, choice, CANDIDATES, order, "sum(requests) > 0")
    rows, filters = await _operations(connection, choice, found)
    ordered = sorted(zip(rows, filters, strict=True), key=lambda pair: -(pair[0][_P95_OF_OPERATION] or 0))
    shown = ordered[: choice.limit]
    return Report(
        slug="slowest-operations",
        title="Slowest operations",
        sentence=f"{_COUNTED}, {choice.window.words}: by the time that 95 of 100 stay below, of the {CANDIDATES} operations"
        f" with the longest mean. {await up_to(connection, choice)}",
        columns=(_OPERATION, _SERVICE, *_LATENCY),
        rows=tuple(row for row, _ in shown),
        filters=tuple(filter_ for _, filter_ in shown),
        series=Chart(
            tuple(f"{row[1].name}: {row[0].name}" for row, _ in shown),
            (Line("p95", "duration_ms", tuple(row[_P95_OF_OPERATION] for row, _ in shown)),),
        ),
        more=len(ordered) > choice.limit,
    )


async def _operations(connection: Any, choice: ReportChoice, found: list[Any]) -> tuple[list[Any], list[Any]]:
    """Rows and their filters."""
    counts = await sums.latencies(connection, choice, [_pair(row) for row in found])
    names = await read_names(connection, (id_ for row in found for id_ in _pair(row)))
    rows, filters = [], []
    for row in found:
        service, operation = names.of("service", row["service_id"]), names.of("operation", row["operation_id"])
        figures = _figures(row, counts.get(_pair(row)))
        rows.append((operation, service, *figures))
        filters.append(
            log_filters(choice, service=service.detail, operation=id_text(operation), min_ms=_at_least(figures))
        )
    return rows, filters


def _pair(row: Any) -> sums.Pair:
    return row["service_id"], row["operation_id"]


def _figures(row: Any, counts: list[int] | None) -> tuple[Any, ...]:
    requests = row["requests"]
    mean = milliseconds(row["total_us"] / requests) if requests else None
    return requests, mean, *(latency_ms(counts, share) for share in (0.5, 0.95, 0.99))


def _at_least(figures: tuple[Any, ...]) -> str | None:
    """The requests behind a slow row are those that took as long as its 95th percentile."""
    p95 = figures[_P95]
    return None if p95 is None else str(int(p95))


async def _over_time(connection: Any, choice: ReportChoice) -> Chart:
    counts = await sums.latency_by_time(connection, choice, sums.pair_of(choice))
    buckets = choice.window.buckets
    return Chart(
        buckets,
        tuple(
            Line(name, "duration_ms", tuple(latency_ms(counts.get(at), share) for at in buckets))
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        ),
    )
