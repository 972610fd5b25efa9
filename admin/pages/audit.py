"""Who did what: of everybody, of one organization, of one person, about one thing; and how the chain stands."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from admin.pages.find import path_of
from admin.web.layout import Page
from admin.web.page import PageRoute, chosen
from admin.web.visit import Visit
from domain.audit_chain.standing import Standing, read_standing
from domain.audit_search import AuditEvent, AuditSearch, FoundEvents, search_audit
from domain.audit_sentences import GROUPS
from domain.cursors import parse_cursor
from domain.faults import Fault, InvalidValue
from domain.operators import Right
from domain.organizations import fetch_organization

PATH = "/audit"
NAMES = ("organization", "actor", "object", "verb", "request", "from", "to")
_PAGE, _LONGEST = 50, 300
_PAGES = {"api_key": "key", "user": "user", "plan": "plan"}


@dataclass(frozen=True, kw_only=True)
class AuditPage(Page):
    """Entries, newest first. `filters` is what stands in the fields, also where it was refused."""

    template: ClassVar[str] = "audit.html"
    title: str = "Audit"
    filters: dict[str, str]
    events: list[AuditEvent]
    standing: Standing
    looked_back_to: datetime | None
    first: str
    following: str
    groups: tuple[tuple[str, str], ...] = tuple(GROUPS.items())

    def link_of(self, event: AuditEvent) -> str:
        """The page of the thing; empty if it has none."""
        if event.object_type == "organization" and event.organization:
            return path_of("organization", event.organization)
        return path_of(_PAGES[event.object_type], event.object_id) if event.object_type in _PAGES else ""

    def about(self, event: AuditEvent) -> str:
        """Everything about the same thing."""
        return _url({"object": f"{event.object_type}:{event.object_id}"})


async def show(visit: Visit) -> Page:
    """GET /audit."""
    filters = {name: text for name in NAMES if (text := chosen(visit, name)[:_LONGEST])}
    standing = await read_standing(visit.connection)
    cursor, error = parse_cursor(chosen(visit, "cursor")), ""
    try:
        wanted = await _wanted(visit.connection, filters)
        found = await search_audit(visit.connection, wanted, after=cursor, limit=_PAGE)
    except Fault as fault:
        error, found = str(fault), FoundEvents([], None)
    return AuditPage(
        filters=filters,
        events=found.events,
        standing=standing,
        looked_back_to=found.looked_back_to,
        first=_url(filters) if cursor else "",
        following=_url({**filters, "cursor": str(found.following)}) if found.following else "",
        error=error,
        status=422 if error else 200,
    )


async def _wanted(connection: Any, filters: dict[str, str]) -> AuditSearch:
    """The search that the fields mean. Raises NotFound, InvalidValue."""
    slug, actor = filters.get("organization"), filters.get("actor")
    kind, colon, key = filters.get("object", "").partition(":")
    if filters.get("object") and not (kind and colon and key):
        raise InvalidValue("A thing is written as its type and its id: api_key:0199d3a0-7c1e-7b3a-8f64-0e2b1c9d4a55.")
    number = int(actor) if actor and actor.isascii() and actor.isdigit() and len(actor) <= 9 else None
    return AuditSearch(
        organization_id=(await fetch_organization(connection, slug)).id if slug and slug != "-" else None,
        unowned=slug == "-",
        actor_id=number,
        actor_name=actor if actor and number is None else None,
        verb=filters.get("verb"),
        object_type=kind or None,
        object_id=key or None,
        request_id=filters.get("request"),
        since=_day(filters.get("from")),
        until=_day(filters.get("to"), days=1),
    )


def _day(text: str | None, *, days: int = 0) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=days)
    except (ValueError, OverflowError):
        raise InvalidValue("Write a day as 2026-11-26.") from None


def _url(query: dict[str, str]) -> str:
    return f"{PATH}?{urlencode(query)}" if query else PATH


PAGES = (PageRoute(PATH, show, right=Right.LOOK_AUDIT),)
