"""What operators are told of: services and operations that fail, and what is charged in a day. From sums of usage."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.alert_settings import AlertSettings
from domain.alerts.measures import Measure, Window
from domain.alerts.rules import WHOLE, rate, rising
from domain.reports import sums
from domain.reports.shapes import ReportChoice
from domain.reports.windows import DAY, floor, window_of
from domain.reports.words import Names, read_names
from domain.snapshots import NO_ID
from schema.messages import AlertKind

MOST = 500
"""Services, operations and organizations that are looked at, those first that fail or cost most."""
# A rate holds of half as many requests: what cannot stand at a level is not read.
_ENOUGH = "sum(requests - refused) * 2 >= {least}"
_ORDER = "sum(errors) desc"
_COSTS = """
select organization_id, cost_micro from organization_usage where grain = 'day' and bucket = $1 and cost_micro * 2 >= $2
 order by cost_micro desc, organization_id limit $3
"""
_ALL_COSTS = "select coalesce(sum(cost_micro), 0)::bigint from organization_usage where grain = 'day' and bucket = $1"


async def measure_installation(connection: Any, settings: AlertSettings, now: datetime) -> list[Measure]:
    """All that operators are told of, as far as it may stand at a level. Of some seconds ago: what is not summed up lacks."""
    return [*await _error_rates(connection, settings, now), *await _costs(connection, settings, now)]


async def _error_rates(connection: Any, settings: AlertSettings, now: datetime) -> list[Measure]:
    """Failures are answers from 500 on and what did not come whole; refused requests are left out."""
    if settings.error_percent <= 0:
        return []
    choice = ReportChoice(window=window_of("1h", now))
    services = await sums.by_service(connection, choice, MOST, _ORDER)
    enough = _ENOUGH.format(least=settings.error_requests)
    operations = await sums.by_operation(connection, choice, MOST, _ORDER, enough)
    rows = [*services, *(row for row in operations if row["operation_id"] != NO_ID)]
    names = await read_names(connection, (row[name] for row in rows for name in ("service_id", "operation_id")))
    return list(_rates([row for row in rows if row["service_id"] != NO_ID], names, settings))


def _rates(rows: list[Any], names: Names, settings: AlertSettings) -> Iterator[Measure]:
    for row in rows:
        failed = row["errors"] - row["refused"] - row["client_errors"]
        requests = row["requests"] - row["refused"]
        service, operation = names.of("service", row["service_id"]), names.of("operation", row["operation_id"])
        yield Measure(
            kind=AlertKind.ERROR_RATE,
            subject=f"{row['service_id']}/{operation.id or 'all'}",
            organization_id=None,
            name=f"{operation.name} of {service.name}" if operation.id else service.name,
            unit="requests",
            value=failed,
            threshold=requests,
            reach=rate(failed, requests, settings.error_percent, settings.error_requests),
            service=service.name,
            operation=operation.name if operation.id else "",
        )


async def _costs(connection: Any, settings: AlertSettings, now: datetime) -> list[Measure]:
    today = floor(now, "day")
    window = Window("day", today, today + DAY)
    found = []
    if each := settings.organization_cost_micro:
        rows = await connection.fetch(_COSTS, today, each, MOST)
        names = await read_names(connection, (row["organization_id"] for row in rows))
        found += [
            _cost(
                row["organization_id"],
                names.of("organization", row["organization_id"]).name,
                row["cost_micro"],
                each,
                window,
            )
            for row in rows
        ]
    if total := settings.total_cost_micro:
        found.append(_cost(None, "all organizations", await connection.fetchval(_ALL_COSTS, today), total, window))
    return found


def _cost(organization_id: UUID | None, name: str, cost: int, threshold: int, window: Window) -> Measure:
    return Measure(
        kind=AlertKind.DAY_COST,
        subject=str(organization_id or "all"),
        organization_id=organization_id,
        name=name,
        unit="credits",
        value=cost,
        threshold=threshold,
        reach=rising(cost, threshold, WHOLE),
        window=window,
    )
