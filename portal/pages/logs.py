"""Request logs of an organization: the list with its filters, one request in full, the file to take away."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response

from domain.access import Permission
from domain.async_jobs.reading import find_job_of
from domain.cursors import parse_cursor
from domain.decision_reading import Explanation, explain_entry
from domain.faults import InvalidValue, NotFound
from domain.log_choices import LogChoices, read_choices
from domain.log_export import FORMATS
from domain.log_filters import NAMES, parse_search
from domain.log_reading import LogEntry
from domain.log_retention import kept_days
from domain.log_search import FoundLogs, LogSearch
from domain.refusals import ALL, Refusal
from domain.request_ids import time_of
from portal.exporting import export_answer
from portal.web.layout import Page, gateway_url
from portal.web.page import PageRoute
from portal.web.visit import Visit

PATH = "/o/{organization}/logs"
REFUSALS: Mapping[str, type[Refusal]] = {refusal.code: refusal for refusal in ALL}
LABELS = {
    "range": "Last", "from": "From", "to": "Until", "key": "Key", "service": "Service", "operation": "Operation",
    "status": "Status", "outcome": "Outcome", "refusal": "Refusal", "method": "Method", "path": "Path begins with",
    "id": "Request id", "min_ms": "At least", "client": "Client",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chip:
    """An active filter and the URL without it."""

    label: str
    text: str
    without: str


@dataclass(frozen=True, kw_only=True)
class LogsPage(Page):
    """`filters` is what stands in the fields, also where it was refused; `state` says why a list is empty.

    States: rows, none (never called), unmatched, beyond (older than what is kept), further (not found yet), refused.
    """

    template: ClassVar[str] = "logs.html"
    path: str
    filters: Mapping[str, str]
    chips: list[Chip]
    entries: list[LogEntry]
    state: str
    looked_back_to: datetime | None
    first: str
    following: str
    exports: list[tuple[str, str]]
    choices: LogChoices
    kept_days: int
    titles: Mapping[str, str]
    later: bool
    """Whether this is not the first page."""


@dataclass(frozen=True, kw_only=True)
class LogPage(Page):
    """One request. `refusal` is the class of its refusal, if it has one that is known."""

    template: ClassVar[str] = "log.html"
    path: str
    told: Explanation
    refusal: type[Refusal] | None
    docs: str
    command: str
    upstream_share: float
    """Of the total time, in percent: until the upstream's answer began."""
    job_id: UUID | None
    """The job that it began, if its operation is asynchronous."""


async def show(visit: Visit) -> Page:
    """One page of the list."""
    filters = _filters(visit)
    choices = await read_choices(visit.connection, visit.access.organization_id)
    now, cursor = datetime.now(UTC), visit.request.query_params.get("cursor")
    try:
        wanted = await parse_search(
            visit.connection, visit.access.organization_id, filters, zone=visit.person.time_zone, now=now
        )
        _require_order(wanted)
        found = await visit.services.logs.search(
            visit.connection, visit.access.organization_id, wanted, after=parse_cursor(cursor)
        )
    except InvalidValue as fault:
        return _page(visit, filters, choices, FoundLogs([], None), "refused", error=str(fault))
    if found.entries:
        return _page(visit, filters, choices, found, "rows")
    kept = await _kept_days(visit)
    state = await _why_empty(visit, filters, wanted, found, now - timedelta(days=kept + 1))
    return _page(visit, filters, choices, found, state, kept=kept)


async def show_one(visit: Visit, request_id: UUID) -> Page:
    """One request in full."""
    entry = await visit.services.logs.find(visit.connection, visit.access.organization_id, request_id)
    if entry is None:
        days = await _kept_days(visit)
        raise NotFound(f"There is no such request in the logs. They are kept for {_days(days)}.")
    refusal = REFUSALS.get(entry.refusal or "")
    return LogPage(
        title=f"{entry.method} {entry.path}",
        path=f"/o/{visit.access.slug}/logs",
        told=await explain_entry(visit.connection, entry, visit.services.logs),
        refusal=refusal,
        docs=f"{gateway_url(visit)}/errors/{refusal.code}" if refusal else "",
        command=repeating_command(gateway_url(visit), entry),
        job_id=await find_job_of(visit.connection, visit.access, request_id),
        upstream_share=round(100 * min(entry.upstream_us or 0, entry.total_us) / max(entry.total_us, 1), 1),
    )


async def export(visit: Visit) -> Response:
    """The matching rows as a file."""
    file_format = visit.request.query_params.get("format", "csv")
    if file_format not in FORMATS:
        raise InvalidValue("The format is csv or jsonl.")
    return await export_answer(visit, file_format, _filters(visit))


def repeating_command(gateway: str, entry: LogEntry) -> str:
    """A curl command that sends the request again; key and body are for the reader to put in."""
    target = f"{gateway}{entry.path}" + (f"?{entry.query}" if entry.query else "")
    target = "".join(letter if letter.isprintable() else "\ufffd" for letter in target)
    words = ["curl", "--globoff"] if any(letter in "[]{}" for letter in target) else ["curl"]
    method = (
        [] if entry.method == "GET" else ["--head"] if entry.method == "HEAD" else ["-X", shlex.quote(entry.method)]
    )
    lines = [" ".join([*words, *method, shlex.quote(target)]), "-H 'X-API-Key: YOUR_API_KEY'"]
    if entry.bytes_in:
        lines.append("--data-binary @body")
    return " \\\n  ".join(lines)


def _require_order(wanted: LogSearch) -> None:
    if wanted.since and wanted.until and wanted.since >= wanted.until:
        raise InvalidValue("The end of the time range lies before its beginning.")


def _filters(visit: Visit) -> dict[str, str]:
    given = visit.request.query_params
    filters = {name: given[name].strip() for name in NAMES if given.get(name, "").strip()}
    if not {"from", "to"} & set(filters):
        filters.pop("zone", None)
    return filters


async def _why_empty(
    visit: Visit, filters: Mapping[str, str], wanted: LogSearch, found: FoundLogs, oldest: datetime
) -> str:
    if found.following is not None:
        return "further"
    if not filters and not visit.request.query_params.get("cursor"):
        return "none"
    latest = time_of(wanted.request_id) if wanted.request_id else wanted.until
    if latest is not None and latest < oldest:
        return "beyond"
    return "unmatched" if await visit.services.logs.has_any(visit.connection, visit.access.organization_id) else "none"


async def _kept_days(visit: Visit) -> int:
    return await kept_days(visit.connection, visit.access.organization_id, visit.settings.logs.retention_days)


def _page(
    visit: Visit,
    filters: dict[str, str],
    choices: LogChoices,
    found: FoundLogs,
    state: str,
    error: str = "",
    kept: int = 0,
) -> LogsPage:
    path = f"/o/{visit.access.slug}/logs"
    later = bool(visit.request.query_params.get("cursor"))
    return LogsPage(
        title="Request logs",
        path=path,
        filters=filters,
        chips=_chips(path, filters, choices),
        entries=found.entries,
        state=state,
        looked_back_to=found.looked_back_to,
        first=_url(path, filters) if later else "",
        following=_url(path, {**filters, "cursor": str(found.following)}) if found.following else "",
        exports=[(one, _url(f"{path}/export", {**filters, "format": one})) for one in FORMATS],
        choices=choices,
        kept_days=kept,
        titles={code: refusal.title for code, refusal in REFUSALS.items()},
        later=later,
        error=error,
        status=422 if error else 200,
    )


def _chips(path: str, filters: dict[str, str], choices: LogChoices) -> list[Chip]:
    names = {str(one.id): f"{one.service}: {one.name}" for one in choices.operations}
    chips = []
    for name, text in filters.items():
        if name == "zone":
            continue
        shown = (
            names.get(text, text) if name == "operation" else text.replace("T", " ") if name in {"from", "to"} else text
        )
        rest = {other: value for other, value in filters.items() if other != name}
        chips.append(Chip(LABELS[name], f"{shown} ms" if name == "min_ms" else shown, _url(path, rest)))
    return chips


def _url(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _days(count: int) -> str:
    return "a day" if count == 1 else f"{count} days"


PAGES = (
    PageRoute(PATH, show, permission=Permission.VIEW),
    PageRoute(f"{PATH}/export", export, permission=Permission.VIEW, connected=False),
    PageRoute(f"{PATH}/{{request_id:uuid}}", show_one, permission=Permission.VIEW),
)
