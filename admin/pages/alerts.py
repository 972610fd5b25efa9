"""Alerts: what stands now and what ended lately, for operators and for customers, each with what is behind it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import quote, urlencode
from uuid import UUID

from admin.web.layout import Page
from admin.web.page import PageRoute, chosen
from admin.web.visit import Visit
from domain.alerts.measures import CUSTOMERS, OPERATORS
from domain.alerts.reading import AlertRecord, ended_alerts, open_alerts
from domain.operators import Right
from domain.organizations import fetch_organization
from domain.runbook import ALERTS as RUNBOOK
from portal.web.formats import credits_, number, percent
from schema.messages import AlertKind

PATH = "/alerts"
MOST = 100
WORDS = {
    AlertKind.ERROR_RATE: "Failures",
    AlertKind.DAY_COST: "Cost of a day",
    AlertKind.USAGE: "Limit or quota",
    AlertKind.SPEND_CAP: "Spend cap",
    AlertKind.CREDITS_LOW: "Low credits",
    AlertKind.USAGE_ERRORS: "Own failures",
    AlertKind.USAGE_COST: "Own cost of a day",
}
MONEY = frozenset({AlertKind.DAY_COST, AlertKind.SPEND_CAP, AlertKind.CREDITS_LOW, AlertKind.USAGE_COST})
"""Kinds that ask for the right to look at money."""
GROUPS: tuple[tuple[str, str, tuple[AlertKind, ...]], ...] = (
    ("For operators", "No service fails, and no day costs too much.", OPERATORS),
    ("Of customers", "No customer is near a limit or low on credits.", CUSTOMERS),
)
"""For whom, what is said where nothing stands, and which kinds."""


@dataclass(frozen=True, slots=True)
class Line:
    """One alert as it is shown. `about` is where what it is of is found, `report` the figures behind it; empty: nowhere."""

    alert: AlertRecord
    words: str
    figures: str
    level: int
    about: str
    report: str
    runbook: str
    snoozed: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Alerts for the same people. `more`: there are more than these."""

    name: str
    empty: str
    lines: tuple[Line, ...]
    ended: tuple[Line, ...]
    more: bool


@dataclass(frozen=True, kw_only=True)
class AlertsPage(Page):
    """Those for operators, and those of customers."""

    template: ClassVar[str] = "alerts.html"
    title: str = "Alerts"
    groups: tuple[Group, ...]
    organization: str
    kind: str
    kinds: tuple[tuple[str, str], ...]
    mailed_to: str


async def show(visit: Visit) -> Page:
    """GET /alerts."""
    slug, kind = chosen(visit, "organization")[:63], chosen(visit, "kind")
    known = {each.value: each for each in WORDS if visit.may(Right.LOOK_MONEY) or each not in MONEY}
    wanted = [known[kind]] if kind in known else list(known.values())
    of = (await fetch_organization(visit.connection, slug)).id if slug else None
    return AlertsPage(
        groups=tuple([await _group(visit, *named, wanted, of) for named in GROUPS]),
        organization=slug,
        kind=kind if kind in known else "",
        kinds=(("", "Any"), *((each.value, WORDS[each]) for each in known.values())),
        mailed_to=visit.settings.alerts.email,
    )


async def _group(
    visit: Visit, name: str, empty: str, kinds: tuple[AlertKind, ...], wanted: list[AlertKind], of: UUID | None
) -> Group:
    now, chosen_kinds = datetime.now(UTC), [kind for kind in kinds if kind in wanted]
    stand = await open_alerts(visit.connection, now, organization_id=of, kinds=chosen_kinds, most=MOST + 1)
    over = await ended_alerts(visit.connection, now, chosen_kinds, organization_id=of, most=MOST)
    return Group(
        name,
        empty,
        tuple(_line(visit, alert, now) for alert in stand[:MOST]),
        tuple(_line(visit, alert, now) for alert in over),
        more=len(stand) > MOST,
    )


def _line(visit: Visit, alert: AlertRecord, now: datetime) -> Line:
    kind = AlertKind(alert.kind)
    return Line(
        alert=alert,
        words=WORDS[kind],
        figures=_figures(kind, alert),
        level=alert.level or alert.raised_level,
        about=_about(alert),
        report=_report(kind, alert) if visit.may(Right.ANALYSE) else "",
        runbook=RUNBOOK[kind],
        snoozed=alert.snoozed(now),
    )


def _figures(kind: AlertKind, alert: AlertRecord) -> str:
    """What was measured, and of how much."""
    if kind in (AlertKind.ERROR_RATE, AlertKind.USAGE_ERRORS):
        share = percent(alert.value, alert.threshold) if alert.threshold else "0 %"
        return f"{number(alert.value)} of {number(alert.threshold)} requests ({share})"
    if kind is AlertKind.CREDITS_LOW:
        return f"{credits_(alert.value)} left, below {credits_(alert.threshold)}"
    if kind in MONEY:
        return f"{credits_(alert.value)} of {credits_(alert.threshold)} credits"
    return f"{number(alert.value)} of {number(alert.threshold)}"


def _about(alert: AlertRecord) -> str:
    """Of whom or what it is."""
    if alert.organization is not None:
        return f"/organizations/{quote(alert.organization, safe='')}"
    if alert.kind != AlertKind.ERROR_RATE:
        return ""
    service, _, operation = alert.subject.partition("/")
    return f"/tables/#/service/{service}" if operation == "all" else f"/tables/#/operation/{operation}"


def _report(kind: AlertKind, alert: AlertRecord) -> str:
    of = {"organization": alert.organization} if alert.organization else {}
    if kind is AlertKind.USAGE_ERRORS:
        return f"/reports/errors-by-operation?{urlencode({'window': '1h', **of})}"
    if kind is AlertKind.ERROR_RATE:
        operations = not alert.subject.endswith("/all")
        return f"/reports/errors-by-{'operation' if operations else 'service'}?window=1h"
    if kind in (AlertKind.DAY_COST, AlertKind.USAGE_COST):
        return f"/reports/top-organizations?{urlencode({'window': '24h', 'which': 'credits', **of})}"
    report = "credit-flows" if kind is AlertKind.CREDITS_LOW else "limit-pressure"
    return f"/reports/{report}?{urlencode(of)}"


PAGES = (PageRoute(PATH, show, right=Right.LOOK),)
