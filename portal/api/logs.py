"""Request logs of the organization: by filters that combine, one in full, all of them as a file."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, WithJsonSchema
from starlette.responses import Response

from domain.access import Permission
from domain.credit_amounts import credits_text
from domain.cursors import parse_cursor
from domain.decision_reading import Explanation, explain_entry
from domain.faults import NotFound
from domain.log_filters import OUTCOMES, REFUSALS, parse_search
from domain.log_reading import LogEntry
from domain.log_retention import kept_days
from portal.api.endpoint import Endpoint
from portal.api.models import Answer, Credits, ListPage, PageQuery, Query
from portal.exporting import export_answer
from portal.web.visit import Visit

_ADDRESS = {"anyOf": [{"type": "string", "format": "ipv4"}, {"type": "string", "format": "ipv6"}]}
_EXAMPLE: dict[str, Any] = {
    "id": "019ac0de-7a10-7c3e-8f21-2b6a0f1d9c55", "at": "2026-11-26T10:00:00.123456Z", "key": "Production",
    "key_id": "7e0c3b0e-2f86-4a55-9a55-8f2a5a1f0c11", "service": "weather", "operation": "get-forecast", "method": "GET",
    "path": "/weather/v1/forecast/berlin", "query": "days=3", "status": 200, "outcome": "served", "refusal": None,
    "limit": None, "upstream_ms": 11.2, "total_ms": 11.9, "bytes_in": 0, "bytes_out": 2048, "client": "198.51.100.7",
    "user_agent": "curl/8.9.1", "credits": "0.001", "trace_id": None,
}  # fmt: skip


def _known_outcome(text: str) -> str:
    if text not in OUTCOMES:
        raise ValueError("There is no such outcome.")
    return text


def _known_refusal(text: str) -> str:
    if text not in REFUSALS:
        raise ValueError("There is no such refusal code.")
    return text


class LogFilters(Query):
    """Which requests. Filters combine: a request must fulfil all of them."""

    since: Annotated[AwareDatetime | None, Field(alias="from", description="Ended then or later.")] = None
    until: Annotated[AwareDatetime | None, Field(alias="to", description="Ended earlier.")] = None
    key: Annotated[UUID | None, Field(description="Id of an API key.")] = None
    service: Annotated[str | None, Field(pattern="^[a-z0-9][a-z0-9-]{0,62}$", description="Slug of a service.")] = None
    operation: Annotated[UUID | None, Field(description="Id of an operation.")] = None
    status: Annotated[
        str | None, Field(pattern="^[1-5](xx|[0-9][0-9])$", description="Status, or its class such as 4xx.")
    ] = None
    outcome: Annotated[
        Annotated[str, AfterValidator(_known_outcome), WithJsonSchema({"type": "string", "enum": list(OUTCOMES)})]
        | None,
        Field(description="How it ended."),
    ] = None
    refusal: Annotated[
        Annotated[str, AfterValidator(_known_refusal), WithJsonSchema({"type": "string", "enum": list(REFUSALS)})]
        | None,
        Field(description="Code of our refusal."),
    ] = None
    method: Annotated[str | None, Field(pattern="^[A-Z][A-Z-]{0,31}$", description="HTTP method.")] = None
    path: Annotated[str | None, Field(pattern="^/[!-~]{0,2047}$", description="What the path begins with.")] = None
    id: Annotated[UUID | None, Field(description="Request id.")] = None
    min_ms: Annotated[int | None, Field(ge=0, le=86_400_000, description="Took at least so many milliseconds.")] = None
    client: Annotated[
        Annotated[str, Field(max_length=60), WithJsonSchema(_ADDRESS)] | None,
        Field(description="Address of the client; a network such as 198.51.100.0/24 serves too."),
    ] = None

    def texts(self) -> dict[str, str]:
        """The filters as a page's URL has them."""
        chosen = self.model_dump(by_alias=True, exclude_none=True, include=set(LogFilters.model_fields))
        return {
            name: value.isoformat() if isinstance(value, datetime) else str(value) for name, value in chosen.items()
        }


class LogQuery(PageQuery, LogFilters):
    """Filters, and which page."""


class ExportQuery(LogFilters):
    """Filters, and the kind of the file."""

    format: Annotated[Literal["csv", "jsonl"], Field(description="csv (RFC 4180) or jsonl.")] = "csv"


class LogItem(Answer):
    """One request. Names are null if there is none, or it was deleted. Times in milliseconds."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    at: Annotated[datetime, Field(description="When the exchange ended.")]
    key: str | None
    key_id: UUID | None
    service: str | None
    operation: str | None
    method: str
    path: str
    query: Annotated[str, Field(description="With secrets replaced by ***.")]
    status: int
    outcome: str
    refusal: str | None
    limit: str | None
    upstream_ms: Annotated[float | None, Field(description="Until the upstream's answer began; null: not called.")]
    total_ms: Annotated[float, Field(description="From the first byte to the last.")]
    bytes_in: int
    bytes_out: int
    client: str | None
    user_agent: str | None
    credits: Credits
    trace_id: str | None


class LogListPage(ListPage[LogItem]):
    """One page. Where few requests match it may be short or empty: go on with `next_cursor` until that is null."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"data": [_EXAMPLE], "next_cursor": None, "looked_back_to": None}]}
    )

    looked_back_to: Annotated[
        datetime | None, Field(description="The search stopped here for now; null: the page is full, or the last.")
    ] = None


class StepItem(Answer):
    """A step of the decision: passed, refused, failed, left (by the client) or not-reached."""

    step: str
    verdict: str
    text: str


class LimitItem(Answer):
    """A limit as it stood. `name` is null if it was deleted since; `verdict` is room, exceeded or exceeded-shadow."""

    name: str | None
    text: str | None
    amount: int
    remaining: int
    reset_seconds: int
    shadow: bool
    verdict: str


class LogDetail(LogItem):
    """One request and how it was decided."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_EXAMPLE, "summary": "Admitted and served: 200.", "traced": True, "plan": "pro",
                    "steps": [{"step": "route", "verdict": "passed", "text": "service weather, operation get-forecast"}],
                    "limits": [
                        {
                            "name": "100/minute", "text": "100 requests/minute", "amount": 100, "remaining": 41,
                            "reset_seconds": 20, "shadow": False, "verdict": "room",
                        }
                    ],
                }
            ]
        }
    )  # fmt: skip

    summary: str
    traced: Annotated[bool, Field(description="False: its decision was not traced, and there are no steps.")]
    plan: str | None
    steps: list[StepItem]
    limits: list[LimitItem]


async def index(visit: Visit, query: LogQuery) -> LogListPage:
    """GET /api/logs."""
    organization_id = visit.access.organization_id
    wanted = await parse_search(
        visit.connection, organization_id, query.texts(), zone="UTC", now=datetime.now(UTC), known_keys_only=False
    )
    found = await visit.services.logs.search(
        visit.connection, organization_id, wanted, after=parse_cursor(query.cursor), limit=query.limit
    )
    return LogListPage(
        data=[LogItem(**_item(entry)) for entry in found.entries],
        next_cursor=str(found.following) if found.following else None,
        looked_back_to=found.looked_back_to,
    )


async def show(visit: Visit, request_id: UUID) -> LogDetail:
    """GET /api/logs/{request_id}."""
    entry = await visit.services.logs.find(visit.connection, visit.access.organization_id, request_id)
    if entry is None:
        days = await kept_days(visit.connection, visit.access.organization_id, visit.settings.logs.retention_days)
        raise NotFound(f"There is no such request in the logs. They are kept for {days} days.")
    return _detail(await explain_entry(visit.connection, entry, visit.services.logs))


async def export(visit: Visit, query: ExportQuery) -> Response:
    """GET /api/logs/export."""
    return await export_answer(visit, query.format, query.texts(), known_keys_only=False)


def _item(entry: LogEntry) -> dict[str, Any]:
    names = (
        "id", "at", "key", "key_id", "service", "operation", "method", "path", "query", "status", "outcome", "refusal",
        "bytes_in", "bytes_out", "client", "user_agent", "trace_id",
    )  # fmt: skip
    return {
        **{name: getattr(entry, name) for name in names},
        "limit": entry.limit_name,
        "upstream_ms": None if entry.upstream_us is None else entry.upstream_us / 1_000,
        "total_ms": entry.total_us / 1_000,
        "credits": credits_text(entry.cost_micro),
    }


def _detail(told: Explanation) -> LogDetail:
    return LogDetail(
        **_item(told.request),
        summary=told.summary,
        traced=told.traced,
        plan=told.plan,
        steps=[StepItem.model_validate(step) for step in told.steps],
        limits=[LimitItem.model_validate(limit) for limit in told.limits],
    )


ENDPOINTS = (
    Endpoint(
        "GET", "/logs", index, "Request logs by filters, newest first", "logs",
        query=LogQuery, answer=LogListPage, permission=Permission.VIEW,
        description="A search that finds little stops after a while: its page is short, and `next_cursor` goes on.",
    ),
    Endpoint(
        "GET", "/logs/export", export, "Request logs as a file", "logs",
        query=ExportQuery, permission=Permission.VIEW, connected=False, media_types=("text/csv", "application/jsonl"),
        also=(429,), description="Streamed, newest first. Two at once for an organization. A file that breaks off is not whole.",
    ),
    Endpoint(
        "GET", "/logs/{request_id:uuid}", show, "One request and how it was decided", "logs",
        answer=LogDetail, permission=Permission.VIEW,
    ),
)  # fmt: skip
