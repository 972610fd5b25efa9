"""The audit of one's own organization."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import ClassVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.responses import Response

from domain.access import Permission
from domain.audit_reading import AuditFilter, AuditRecord, list_actors, list_audit
from domain.audit_sentences import GROUPS, OPERATORS_ONLY
from domain.faults import InvalidValue
from portal.web.audit_download import audit_file
from portal.web.layout import Page
from portal.web.page import PageRoute
from portal.web.visit import Visit

PATH = "/o/{organization}/audit"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The filter as it stands in the URL."""

    actor: str = ""
    group: str = ""
    first: str = ""
    last: str = ""

    @property
    def query(self) -> str:
        """The same for a link."""
        pairs = {"actor": self.actor, "group": self.group, "from": self.first, "to": self.last}
        return urlencode({name: value for name, value in pairs.items() if value})


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry with the page of its thing; empty if there is none any more."""

    record: AuditRecord
    link: str


@dataclass(frozen=True, kw_only=True)
class AuditPage(Page):
    """A page of entries. `actors` are ids and names to choose from."""

    template: ClassVar[str] = "audit.html"
    entries: list[Entry]
    chosen: Chosen
    actors: list[tuple[int, str]]
    following: str
    paged: bool
    groups: tuple[tuple[str, str], ...] = tuple(each for each in GROUPS.items() if each[0] not in OPERATORS_ONLY)


async def show(visit: Visit) -> Page:
    """A page of it. A filter that cannot be is told, and everything shown."""
    chosen, error = _chosen(visit), ""
    cursor = visit.request.query_params.get("cursor")
    try:
        records, following = await list_audit(visit.connection, visit.access, _filter(visit, chosen), cursor=cursor)
    except InvalidValue as fault:
        error, cursor = str(fault), None
        records, following = await list_audit(visit.connection, visit.access, AuditFilter())
    return AuditPage(
        title="Audit",
        entries=[Entry(record, _link(visit, record)) for record in records],
        chosen=Chosen() if error else chosen,
        actors=await list_actors(visit.connection, visit.access),
        following=following or "",
        paged=bool(cursor),
        error=error,
        status=422 if error else 200,
    )


async def export(visit: Visit) -> Response:
    """The same as a file."""
    return audit_file(visit, _filter(visit, _chosen(visit)))


def _chosen(visit: Visit) -> Chosen:
    query = visit.request.query_params
    return Chosen(query.get("actor", ""), query.get("group", ""), query.get("from", ""), query.get("to", ""))


def _filter(visit: Visit, chosen: Chosen) -> AuditFilter:
    """Days are those of the person's time zone. Raises InvalidValue."""
    if chosen.actor and not (chosen.actor.isascii() and chosen.actor.isdigit() and len(chosen.actor) <= 9):
        raise InvalidValue("Choose one of the people in the list.")
    return AuditFilter(
        actor_id=int(chosen.actor) if chosen.actor else None,
        group=chosen.group or None,
        since=_midnight(visit, chosen.first),
        until=_midnight(visit, chosen.last, days=1),
    ).checked()


def _midnight(visit: Visit, day: str, *, days: int = 0) -> datetime | None:
    if not day:
        return None
    try:
        zone = ZoneInfo(visit.person.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    try:
        begin = datetime.strptime(day, "%Y-%m-%d").date() + timedelta(days=days)  # noqa: DTZ007  a day, not a moment
        return datetime.combine(begin, time(), tzinfo=zone)
    except (ValueError, OverflowError):
        raise InvalidValue("Write a day as 2026-11-26.") from None


def _link(visit: Visit, record: AuditRecord) -> str:
    root, key = f"/o/{visit.access.slug}", record.object_id
    if record.exists:
        return {
            "api_key": f"{root}/keys/{key}",
            "webhook_endpoint": f"{root}/webhooks/{key}",
            "webhook_delivery": f"{root}/webhooks/deliveries/{key}",
        }[record.object_type]
    return {"organization": f"{root}/settings", "subscription": f"{root}/subscription"}.get(record.object_type, "")


PAGES = (
    PageRoute(PATH, show, permission=Permission.AUDIT_VIEW),
    PageRoute(f"{PATH}/export", export, permission=Permission.AUDIT_VIEW, connected=False),
)
