"""Credits: what there is, what expires, and the ledger."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import ClassVar
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.responses import Response

from domain.access import Permission
from domain.credits.entries import LedgerEntry
from domain.credits.statements import (
    TYPES,
    OwnBalance,
    StatementFilter,
    StatementPage,
    list_statement,
    own_balance,
    own_entry,
    own_requests_behind,
)
from domain.credits.statistics import Rate, read_rate
from domain.cursors import parse_cursor
from domain.faults import Fault, InvalidValue
from domain.log_reading import LogEntry
from portal.statement_export import statement_export
from portal.web.layout import Page
from portal.web.page import PageRoute
from portal.web.refusals import refusal_status
from portal.web.visit import Visit

PATH = "/o/{organization}/credits"
_ROWS = 50
_REQUESTS = 200


@dataclass(frozen=True, kw_only=True)
class CreditsPage(Page):
    """`wanted` is what stands in the filter's fields, `query` the same for links."""

    template: ClassVar[str] = "credits.html"
    root: str
    own: OwnBalance
    rate: Rate
    types: tuple[str, ...]
    wanted: dict[str, str]
    query: str
    ledger: StatementPage
    first: bool


@dataclass(frozen=True, kw_only=True)
class EntryPage(Page):
    """One entry, with the requests that it stands for as far as their rows are kept."""

    template: ClassVar[str] = "credit_entry.html"
    root: str
    entry: LedgerEntry
    requests: list[LogEntry]


async def show(visit: Visit) -> Page:
    """Balance and ledger."""
    written = _written(visit)
    try:
        wanted, after = parse_filter(visit), parse_cursor(visit.request.query_params.get("cursor"))
        ledger = await list_statement(visit.connection, visit.access, wanted, limit=_ROWS, after=after)
    except Fault as fault:
        return await _page(visit, StatementPage([], None), written, error=fault)
    return await _page(visit, ledger, written, first=after is None)


async def show_entry(visit: Visit, entry_id: UUID) -> Page:
    """One entry."""
    entry = await own_entry(visit.connection, visit.access, entry_id)
    return EntryPage(
        title=f"Ledger entry {entry.number:,}",
        root=_root(visit),
        entry=entry,
        requests=await own_requests_behind(
            visit.connection, visit.access, entry_id, visit.services.logs, limit=_REQUESTS
        ),
    )


async def export(visit: Visit) -> Response:
    """The ledger as a file."""
    return await statement_export(visit, parse_filter(visit))


def parse_filter(visit: Visit) -> StatementFilter:
    """What the query asks for: days are those of the person's time zone. Raises InvalidValue."""
    written, zone = _written(visit), _zone(visit.person.time_zone)
    since, until = _day(written["since"]), _day(written["until"])
    return StatementFilter(
        type=written["type"] or None,
        since=datetime.combine(since, time(), zone) if since else None,
        until=datetime.combine(until + timedelta(days=1), time(), zone) if until else None,
    )


def _written(visit: Visit) -> dict[str, str]:
    return {name: visit.request.query_params.get(name, "").strip() for name in ("type", "since", "until")}


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not date(2000, 1, 1) <= day < date(2100, 1, 1):
        raise InvalidValue("Write a day as 2026-11-30.")
    return day


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def _root(visit: Visit) -> str:
    return f"/o/{visit.access.slug}/credits"


async def _page(
    visit: Visit, ledger: StatementPage, written: dict[str, str], *, first: bool = True, error: Fault | None = None
) -> CreditsPage:
    own = await own_balance(visit.connection, visit.access)
    return CreditsPage(
        title="Credits",
        status=refusal_status(error) if error else 200,
        error=str(error or ""),
        root=_root(visit),
        own=own,
        rate=await read_rate(visit.connection, visit.access, own.balance.available_micro + own.balance.leased_micro),
        types=TYPES,
        wanted=written,
        query=urlencode({name: value for name, value in written.items() if value}),
        ledger=ledger,
        first=first,
    )


PAGES = (
    PageRoute(PATH, show, permission=Permission.BILLING_VIEW),
    PageRoute(f"{PATH}/export", export, permission=Permission.BILLING_VIEW, connected=False),
    PageRoute(f"{PATH}/entries/{{entry_id:uuid}}", show_entry, permission=Permission.BILLING_VIEW),
)
