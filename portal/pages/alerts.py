"""What the organization is told of: what stands now, and the thresholds that its members choose."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from starlette.responses import Response

from domain.access import Permission
from domain.alerts.choices import (
    DEFAULT,
    AlertChoices,
    change_choice,
    fetch_choice,
    parse_percents,
    parse_whole,
)
from domain.alerts.customer_reading import CustomerAlert, standing_alerts
from domain.credit_amounts import credits_text, parse_credits
from domain.faults import Fault
from portal.web.layout import Page
from portal.web.page import PageRoute, see_other
from portal.web.refusals import refusal_status
from portal.web.visit import Visit

PATH = "/o/{organization}/alerts"
FIELDS = ("usage_percents", "low_credits", "day_cost", "error_percent", "error_requests")


@dataclass(frozen=True, kw_only=True)
class AlertsPage(Page):
    """`typed` is what stands in the form: also what was refused. `share`: percent of what was last bought; 0: never."""

    template: ClassVar[str] = "alerts.html"
    title: str = "Alerts"
    stand: list[CustomerAlert]
    typed: Mapping[str, str]
    share: int
    may_change: bool


async def show(visit: Visit) -> Page:
    """What stands, and what was chosen."""
    return await _page(visit, _written(await fetch_choice(visit.connection, visit.access.organization_id)))


async def choose(visit: Visit) -> Page | Response:
    """Choose other thresholds."""
    typed = {name: str(visit.form.get(name, "")).strip() for name in FIELDS}
    try:
        async with visit.change():
            await change_choice(visit.connection, visit.access, visit.actor, _read(typed))
    except Fault as fault:
        return await _page(visit, typed, fault)
    return see_other(visit.request.url.path, done="saved")


def _read(typed: Mapping[str, str]) -> AlertChoices:
    """Raises InvalidValue."""
    least = parse_whole(typed["error_requests"], "At least so many requests")
    return AlertChoices(
        parse_percents(typed["usage_percents"]),
        _micro(typed["low_credits"]),
        _micro(typed["day_cost"]),
        parse_whole(typed["error_percent"], "Percent that fail"),
        DEFAULT.error_requests if least is None else least,
    )


def _micro(text: str) -> int | None:
    return parse_credits(text.replace(",", "")) if text else None


def _written(choice: AlertChoices) -> dict[str, str]:
    def amount(micro: int | None) -> str:
        return "" if micro is None else credits_text(micro)

    return {
        "usage_percents": ", ".join(map(str, choice.usage_percents)),
        "low_credits": amount(choice.low_credits_micro),
        "day_cost": amount(choice.day_cost_micro),
        "error_percent": "" if choice.error_percent is None else str(choice.error_percent),
        "error_requests": str(choice.error_requests),
    }


async def _page(visit: Visit, typed: Mapping[str, str], fault: Fault | None = None) -> AlertsPage:
    return AlertsPage(
        stand=await standing_alerts(visit.connection, visit.access, datetime.now(UTC)),
        typed=typed,
        share=visit.settings.alerts.low_credits_percent,
        may_change=visit.access.may(Permission.BUY),
        error=str(fault) if fault else "",
        status=refusal_status(fault) if fault else 200,
    )


PAGES = (
    PageRoute(PATH, show, permission=Permission.BILLING_VIEW),
    PageRoute(PATH, choose, "POST", permission=Permission.BUY),
)
