"""The API keys of an organization: all of them in pages, and one with what it may do and has done today."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import urlencode
from uuid import UUID, uuid4

from starlette.responses import Response

from domain.access import Permission
from domain.cursors import parse_cursor
from domain.key_listing import STATES, KeyEntry, count_keys, fetch_entry, list_entries
from domain.quotas.costs import CREDITS
from domain.quotas.refill import Question
from domain.tenant_keys import revoke_key
from domain.usage_reading import used
from portal.web.layout import Page
from portal.web.page import PageRoute, see_other
from portal.web.visit import Visit

PATH = "/o/{organization}/keys"
OVERLAPS = (("0", "Now: the old key stops at once"), ("3600", "In 1 hour"), ("86400", "In 24 hours"), ("604800", "In 7 days"))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class KeysPage(Page):
    """One page of keys; `tabs` are (state, label, how many, URL, whether it is shown)."""

    template: ClassVar[str] = "keys.html"
    root: str
    entries: tuple[KeyEntry, ...]
    tabs: tuple[tuple[str, str, int, str, bool], ...]
    state: str
    search: str
    first: str
    following: str
    may_build: bool


@dataclass(frozen=True, kw_only=True)
class KeyPage(Page):
    """One key. `requests` and `cost_micro` are of the present UTC day, None if they cannot be read."""

    template: ClassVar[str] = "key.html"
    root: str
    entry: KeyEntry
    requests: int | None
    cost_micro: int | None
    overlaps: tuple[tuple[str, str], ...]
    once: str
    may_build: bool


async def show_all(visit: Visit) -> Page:
    """Keys in one state or in any, found by name or prefix."""
    given = visit.request.query_params
    state = given.get("state", "") if given.get("state") in STATES else ""
    search, after = given.get("q", "")[:120], given.get("after", "")
    found = await list_entries(visit.connection, visit.access, state=state, search=search, cursor=parse_cursor(after))
    counts = await count_keys(visit.connection, visit.access)
    path = visit.request.url.path
    labels = (("", "All"), ("active", "Active"), ("expired", "Expired"), ("revoked", "Revoked"))
    return KeysPage(
        title="API keys",
        root=path,
        entries=found.entries,
        tabs=tuple(
            (each, label, counts[each or "all"], _url(path, state=each, q=search), each == state)
            for each, label in labels
        ),
        state=state,
        search=search,
        first=_url(path, state=state, q=search) if after else "",
        following=_url(path, state=state, q=search, after=str(found.following)) if found.following else "",
        may_build=visit.access.may(Permission.BUILD),
    )


async def show(visit: Visit, key_id: UUID) -> Page:
    """One key and its day."""
    entry = await fetch_entry(visit.connection, visit.access, key_id)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    today = Question(visit.access.organization_id, key_id, None, None, midnight)
    return KeyPage(
        title=entry.record.name,
        root=keys_root(visit),
        entry=entry,
        requests=await used(visit.connection, today),
        cost_micro=await used(visit.connection, today._replace(unit=CREDITS)),
        overlaps=OVERLAPS,
        once=str(uuid4()),
        may_build=visit.access.may(Permission.BUILD),
    )


async def revoke(visit: Visit, key_id: UUID) -> Response:
    """Stop it for ever."""
    reason = str(visit.form.get("reason", ""))
    await revoke_key(visit.connection, visit.access, visit.actor, key_id, reason=reason)
    return see_other(f"{keys_root(visit)}/{key_id}", done="key_revoked")


def keys_root(visit: Visit) -> str:
    """Where the keys of this organization are."""
    return f"/o/{visit.access.slug}/keys"


def _url(path: str, **query: str) -> str:
    given = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


PAGES = (
    PageRoute(PATH, show_all, permission=Permission.VIEW),
    PageRoute(f"{PATH}/{{key_id:uuid}}", show, permission=Permission.VIEW),
    PageRoute(f"{PATH}/{{key_id:uuid}}/revoke", revoke, "POST", permission=Permission.BUILD),
)
