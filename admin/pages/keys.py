"""One API key, all keys of an organization, one person."""

from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlencode
from uuid import UUID

from admin.web.layout import Page
from admin.web.page import PageRoute, chosen
from admin.web.visit import Visit
from domain.back_office.customers import operators_access
from domain.cursors import parse_cursor
from domain.key_listing import STATES, KeyEntry, fetch_entry, list_entries
from domain.key_records import fetch_key
from domain.log_reading import LogEntry
from domain.log_search import LogSearch
from domain.operators import Right

_SOME = 10


@dataclass(frozen=True, kw_only=True)
class KeyPage(Page):
    """One key with its latest requests."""

    template: ClassVar[str] = "key.html"
    entry: KeyEntry
    requests: list[LogEntry]


@dataclass(frozen=True, kw_only=True)
class KeysPage(Page):
    """A page of an organization's keys."""

    template: ClassVar[str] = "keys.html"
    slug: str
    entries: tuple[KeyEntry, ...]
    state: str
    search: str
    first: str
    following: str
    states: tuple[str, ...] = STATES


async def show(visit: Visit, key_id: UUID) -> Page:
    """GET /keys/{key_id}."""
    record = await fetch_key(visit.connection, key_id, organization_id=None)
    access = await operators_access(visit.connection, record.organization_id, visit.operator.id)
    entry = await fetch_entry(visit.connection, access, key_id)
    wanted = LogSearch(key_ids=(key_id,))
    found = await visit.services.logs.search(visit.connection, record.organization_id, wanted, limit=_SOME)
    return KeyPage(title=record.name, entry=entry, requests=found.entries)


async def show_all(visit: Visit, slug: str) -> Page:
    """GET /organizations/{slug}/keys."""
    access = await operators_access(visit.connection, slug, visit.operator.id)
    state, search, cursor = chosen(visit, "state"), chosen(visit, "q")[:120], parse_cursor(chosen(visit, "cursor"))
    known = state if state in STATES else ""
    found = await list_entries(visit.connection, access, state=known, search=search, cursor=cursor)
    path = f"/organizations/{slug}/keys"
    query: dict[str, Any] = {name: text for name, text in (("state", known), ("q", search)) if text}
    return KeysPage(
        title=f"API keys of {access.name}",
        slug=slug,
        entries=found.entries,
        state=known,
        search=search,
        first=f"{path}?{urlencode(query)}" if cursor else "",
        following=f"{path}?{urlencode({**query, 'cursor': str(found.following)})}" if found.following else "",
    )


PAGES = (
    PageRoute("/keys/{key_id:uuid}", show, right=Right.LOOK),
    PageRoute("/organizations/{slug}/keys", show_all, right=Right.LOOK),
)
