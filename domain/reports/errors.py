"""Errors: by service over time, and by operation."""

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from domain.reports import sums
from domain.reports.shapes import Chart, Column, Line, Report, ReportChoice
from domain.reports.words import id_text, log_filters, percent, read_names, up_to

_FIGURES = (
    Column("requests", "Requests", "count"),
    Column("errors", "Errors", "count"),
    Column("error_share", "Errors", "percent"),
    Column("refused", "Refused by us", "count"),
    Column("client_errors", "4xx from upstream", "count"),
    Column("failures", "5xx or not whole", "count"),
)
_SERVICE = Column("service", "Service", "service")
_OPERATION = Column("operation", "Operation", "operation")
_ORDER = "sum(errors) desc, sum(requests) desc"
_COUNTED = "Errors are answers from 400 on and those that did not come whole, from sums of usage"


async def errors_by_service(connection: Any, choice: ReportChoice) -> Report:
    """Most errors first, with the errors over time."""
    found = await sums.by_service(connection, choice, choice.limit + 1, _ORDER)
    names = await read_names(connection, (row["service_id"] for row in found))
    rows, filters = [], []
    for row in found[: choice.limit]:
        service = names.of("service", row["service_id"])
        rows.append((service, *_figures(row)))
        filters.append(log_filters(choice, service=service.detail, status="5xx" if _failures(row) else "4xx"))
    return Report(
        slug="errors-by-service",
        title="Errors by service",
        sentence=f"{_COUNTED} {choice.window.words}. {await up_to(connection, choice)}",
        columns=(_SERVICE, *_FIGURES),
        rows=tuple(rows),
        filters=tuple(filters),
        series=await _over_time(connection, choice),
        more=len(found) > choice.limit,
    )


async def errors_by_operation(connection: Any, choice: ReportChoice) -> Report:
    """Most errors first; operations without an error are left out."""
    found = await sums.by_operation(connection, choice, choice.limit + 1, _ORDER, "sum(errors) > 0")
    names = await read_names(connection, (row[name] for row in found for name in ("service_id", "operation_id")))
    rows, filters = [], []
    for row in found[: choice.limit]:
        service, operation = names.of("service", row["service_id"]), names.of("operation", row["operation_id"])
        rows.append((operation, service, *_figures(row)))
        status = "5xx" if _failures(row) else "4xx"
        filters.append(log_filters(choice, service=service.detail, operation=id_text(operation), status=status))
    return Report(
        slug="errors-by-operation",
        title="Errors by operation",
        sentence=f"{_COUNTED} {choice.window.words}; operations without errors are left out."
        f" {await up_to(connection, choice)}",
        columns=(_OPERATION, _SERVICE, *_FIGURES),
        rows=tuple(rows),
        filters=tuple(filters),
        series=await _over_time(connection, choice),
        more=len(found) > choice.limit,
    )


def _figures(row: Any) -> tuple[Any, ...]:
    requests, errors = row["requests"], row["errors"]
    return requests, errors, percent(errors, requests), row["refused"], row["client_errors"], _failures(row)


def _failures(row: Any) -> int:
    failures: int = row["errors"] - row["refused"] - row["client_errors"]
    return failures


async def _over_time(connection: Any, choice: ReportChoice) -> Chart:
    found = await sums.by_time(connection, choice, sums.pair_of(choice))
    buckets = choice.window.buckets
    lines: dict[str, Callable[[Any], int]] = {
        "failures": _failures,
        "client_errors": itemgetter("client_errors"),
        "refused": itemgetter("refused"),
    }
    return Chart(
        buckets,
        tuple(
            Line(name, "count", tuple(value(found[at]) if at in found else 0 for at in buckets))
            for name, value in lines.items()
        ),
    )
