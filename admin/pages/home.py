"""The overview: what an operator looks at first."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar

from admin.web.layout import Page
from admin.web.page import PageRoute
from admin.web.report_charts import draw
from admin.web.visit import Visit
from domain.audit_search import AuditEvent, AuditSearch, search_audit
from domain.back_office.overview import (
    MOST_COUNTED,
    DayFigures,
    Needs,
    Pressed,
    read_needs,
    read_pressed,
    read_today,
)
from domain.operators import Right
from domain.reports.choosing import parse_choice
from domain.reports.registry import REPORTS
from portal.web.formats import credits_, milliseconds, number, percent

_LATEST = 8


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure of today, how it was yesterday at this time, and where there is more of it."""

    name: str
    value: str
    note: str
    path: str


@dataclass(frozen=True, slots=True)
class Need:
    """Something that waits for somebody, and where to see to it."""

    text: str
    path: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class HomePage(Page):
    """How today goes, and the last hour. `latest` is None for who may not read the audit, `pressed` for who sees no reports."""

    template: ClassVar[str] = "home.html"
    title: str = "Overview"
    tiles: tuple[Tile, ...]
    needs: tuple[Need, ...]
    there: Needs
    drawings: tuple[Any, ...]
    pressed: list[Pressed] | None
    latest: list[AuditEvent] | None


async def show(visit: Visit) -> Page:
    """GET /."""
    connection, now = visit.connection, datetime.now(UTC)
    today, before = await read_today(connection, now)
    needs = await read_needs(connection, now)
    page = HomePage(
        there=needs,
        drawings=await _last_hour(connection, now),
        tiles=tuple(tile for tile, right in _tiles(today, before) if visit.may(right)),
        needs=_needs(visit, needs),
        pressed=await _pressed(visit, now) if visit.may(Right.ANALYSE) else None,
        latest=None,
    )
    if not visit.may(Right.LOOK_AUDIT):
        return page
    # Last, because it sets for the rest of the transaction how statements are planned.
    latest = await search_audit(connection, AuditSearch(), limit=_LATEST)
    return replace(page, latest=latest.events)


async def _pressed(visit: Visit, now: datetime) -> list[Pressed]:
    return await visit.services.pressed.get(lambda: read_pressed(visit.connection, now))


def _tiles(today: DayFigures, before: DayFigures) -> tuple[tuple[Tile, Right], ...]:
    def rate(part: int, whole: int) -> str:
        return percent(part, whole) if whole else "0 %"

    def then(text: str) -> str:
        return f"{text} yesterday by now"

    failed, failed_before = today.errors - today.refused, before.errors - before.refused
    return (
        (Tile("Requests today", number(today.requests), then(number(before.requests)), "/requests"), Right.LOOK),
        (
            Tile(
                "Errors",
                rate(failed, today.requests),
                f"{number(failed)}; {then(rate(failed_before, before.requests))}",
                "/reports/errors-by-service",
            ),
            Right.ANALYSE,
        ),
        (
            Tile(
                "Refused",
                rate(today.refused, today.requests),
                f"{number(today.refused)}; {then(rate(before.refused, before.requests))}",
                "/reports/most-refused",
            ),
            Right.ANALYSE,
        ),
        (Tile("95 of 100 within", _took(today), then(_took(before)), "/reports/latency-by-service"), Right.ANALYSE),
        (
            Tile(
                "Credits spent",
                credits_(today.spent_micro),
                then(credits_(before.spent_micro)),
                "/reports/credit-flows",
            ),
            Right.LOOK_MONEY,
        ),
        (
            Tile(
                "Credits bought and granted",
                credits_(today.granted_micro),
                then(credits_(before.granted_micro)),
                "/reports/credit-flows",
            ),
            Right.LOOK_MONEY,
        ),
        (Tile("Sign-ups", number(today.sign_ups), then(number(before.sign_ups)), "/organizations"), Right.LOOK),
    )


def _took(day: DayFigures) -> str:
    return milliseconds(round(day.p95_us)) if day.p95_us is not None else "\u2013"


def _needs(visit: Visit, found: Needs) -> tuple[Need, ...]:
    def many(count: int, one: str, more: str) -> str:
        at_least = " or more" if count >= MOST_COUNTED else ""
        return f"{count:,}{at_least} {one if count == 1 else more}"

    health = "/reports/system-health" if visit.may(Right.ANALYSE) else ""
    operators = "/operators" if visit.may(Right.OPERATORS) else ""
    audit = "/audit" if visit.may(Right.LOOK_AUDIT) else ""
    counted = (
        (found.alerts, many(found.alerts, "alert stands.", "alerts stand."), "/alerts", "bad"),
        (found.jobs, many(found.jobs, "job run", "job runs") + " failed for good.", "/jobs?state=failed", "bad"),
        (
            found.without_factor,
            f"Without a second factor: {many(found.without_factor, 'operator', 'operators')}.",
            operators,
            "warning",
        ),
        (found.past_due, many(found.past_due, "subscription", "subscriptions") + " past due.", "/plans", "warning"),
        (found.trials, many(found.trials, "trial", "trials") + " to end within 3 days.", "/plans", "info"),
        (
            found.suspended,
            many(found.suspended, "organization", "organizations") + " suspended: their keys are refused.",
            "/organizations?state=suspended",
            "info",
        ),
    )
    unsound = () if found.chain_sound else (Need("The audit's chain is not sound.", audit, "bad"),)
    ill = tuple(
        Need(f"{part.capitalize()}, {what}: {value}.", health, "bad" if state == "failed" else "warning")
        for part, what, value, state in found.unwell
    )
    return (*unsound, *ill, *(Need(text, path, kind) for there, text, path, kind in counted if there))


async def _last_hour(connection: Any, now: datetime) -> tuple[Any, ...]:
    kind = REPORTS["live-traffic"]
    traffic = await kind.make(connection, await parse_choice(connection, kind, {}, now))
    return tuple(draw("Requests of the last hour", traffic.series, traffic.columns))[:1]


PAGES = (PageRoute("/", show, right=Right.LOOK),)
