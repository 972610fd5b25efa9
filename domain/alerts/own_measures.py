"""What an organization chose to be told of itself: the share of its requests that fail, and what a day costs."""

from datetime import datetime
from typing import Any

from domain.alerts.choices import AlertChoices
from domain.alerts.measures import Measure, Window
from domain.alerts.rules import WHOLE, rate, rising
from domain.limit_use import AHEAD
from domain.organizations import OrganizationRecord
from domain.quotas.costs import CREDITS
from domain.quotas.refill import Question
from domain.reports import sums
from domain.reports.shapes import Named, ReportChoice
from domain.reports.windows import DAY, floor, window_of
from domain.usage_reading import used
from schema.messages import AlertKind


async def own_measures(
    connection: Any, organization: OrganizationRecord, choice: AlertChoices, now: datetime
) -> list[Measure]:
    """What was chosen, as far as it can be read now; not inside a transaction."""
    found = []
    if choice.error_percent is not None:
        found.append(await _errors(connection, organization, choice, choice.error_percent, now))
    if choice.day_cost_micro is not None:
        cost = await _cost(connection, organization, choice.day_cost_micro, now)
        found += [] if cost is None else [cost]
    return found


async def _errors(
    connection: Any, organization: OrganizationRecord, choice: AlertChoices, percent: int, now: datetime
) -> Measure:
    """Of this and the last hour: answers from 500 on and what did not come whole; refused requests are left out."""
    named = Named(organization.id, organization.name, organization.slug)
    rows = (await sums.by_time(connection, ReportChoice(window=window_of("1h", now), organization=named))).values()
    failed = sum(row["errors"] - row["refused"] - row["client_errors"] for row in rows)
    requests = sum(row["requests"] - row["refused"] for row in rows)
    return Measure(
        kind=AlertKind.USAGE_ERRORS,
        subject=str(organization.id),
        organization_id=organization.id,
        name="errors",
        unit="requests",
        value=failed,
        threshold=requests,
        reach=rate(failed, requests, percent, choice.error_requests),
        percent=percent,
    )


async def _cost(connection: Any, organization: OrganizationRecord, micro: int, now: datetime) -> Measure | None:
    """Since midnight UTC; None if it cannot be read."""
    today = floor(now, "day")
    spent = await used(connection, Question(organization.id, None, None, None, today, now + AHEAD, CREDITS))
    if spent is None:
        return None
    return Measure(
        kind=AlertKind.USAGE_COST,
        subject=str(organization.id),
        organization_id=organization.id,
        name="cost",
        unit="credits",
        value=spent,
        threshold=micro,
        reach=rising(spent, micro, WHOLE),
        window=Window("day", today, today + DAY),
    )
