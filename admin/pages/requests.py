"""Requests of all organizations or of one: the list with its filters, and one request with how it was decided."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from urllib.parse import urlencode
from uuid import UUID

from admin.pages.remedies import Remedy, remedies_for
from admin.web.layout import Page
from admin.web.page import PageRoute, chosen
from admin.web.visit import Visit
from domain.back_office.customers import operators_access
from domain.cursors import parse_cursor
from domain.decision_reading import Explanation, explain
from domain.faults import Fault, NotFound
from domain.log_filters import NAMES, OUTCOMES, RANGES, REFUSALS, parse_search
from domain.log_reading import LogEntry, LogFilter
from domain.operators import Right
from domain.refusals import ALL

PATH = "/requests"
_PAGE = 50
_LATELY = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class RequestsPage(Page):
    """Rows, newest first. Without an organization: the newest of everybody's within an hour, without filters but a status."""

    template: ClassVar[str] = "requests.html"
    title: str = "Requests"
    organization: str
    filters: Mapping[str, str]
    entries: list[LogEntry]
    looked_back_to: datetime | None = None
    first: str = ""
    following: str = ""
    outcomes: tuple[str, ...] = OUTCOMES
    refusals: tuple[str, ...] = REFUSALS
    ranges: tuple[str, ...] = tuple(RANGES)


@dataclass(frozen=True, kw_only=True)
class RequestPage(Page):
    """One request in full. `refusal` is the title and sentence of how it was refused."""

    template: ClassVar[str] = "request.html"
    told: Explanation
    refusal: tuple[str, str] | None
    remedies: tuple[Remedy, ...]


async def show_all(visit: Visit) -> Page:
    """GET /requests."""
    slug = chosen(visit, "organization")
    filters = {name: chosen(visit, name)[:200] for name in NAMES if chosen(visit, name)}
    if not slug:
        return await _everybodys(visit, filters)
    access = await operators_access(visit.connection, slug, visit.operator.id)
    zone = visit.here.session.time_zone
    cursor = parse_cursor(chosen(visit, "cursor"))
    try:
        wanted = await parse_search(
            visit.connection, access.organization_id, filters, zone=zone, now=datetime.now(UTC), known_keys_only=False
        )
    except Fault as fault:
        return RequestsPage(organization=slug, filters=filters, entries=[], error=str(fault), status=422)
    logs = visit.services.logs
    found = await logs.search(visit.connection, access.organization_id, wanted, after=cursor, limit=_PAGE)
    query = {"organization": slug, **filters}
    return RequestsPage(
        organization=slug,
        filters=filters,
        entries=found.entries,
        looked_back_to=found.looked_back_to,
        first=f"{PATH}?{urlencode(query)}" if cursor else "",
        following=f"{PATH}?{urlencode({**query, 'cursor': str(found.following)})}" if found.following else "",
    )


async def _everybodys(visit: Visit, filters: Mapping[str, str]) -> Page:
    since = datetime.now(UTC) - _LATELY
    entries = await visit.services.logs.newest(visit.connection, LogFilter(since=since), _PAGE)
    return RequestsPage(organization="", filters=filters, entries=entries)


async def show(visit: Visit, request_id: UUID) -> Page:
    """GET /requests/{request_id}."""
    told = await explain(visit.connection, request_id, visit.services.logs)
    if told is None:
        days = visit.settings.logs.retention_days
        raise NotFound(f"There is no such request in the logs. They are kept for {days} days.")
    refusal = next((one for one in ALL if one.code == told.request.refusal), None)
    return RequestPage(
        title=f"{told.request.method} {told.request.path}",
        told=told,
        refusal=(refusal.title, refusal.default_detail) if refusal else None,
        remedies=remedies_for(visit, told.request),
    )


PAGES = (
    PageRoute(PATH, show_all, right=Right.LOOK),
    PageRoute(f"{PATH}/{{request_id:uuid}}", show, right=Right.LOOK),
)
