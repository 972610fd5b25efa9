"""Usage as numbers: totals, series, breakdowns, where limits stand, and what happens now."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field
from starlette.responses import Response

from domain.access import Permission
from domain.analytics.breakdown import Line, read_breakdown
from domain.analytics.figures import Figures, change
from domain.analytics.limits import LimitNow, Standing, read_standing
from domain.analytics.series import Series, read_series
from domain.analytics.sources import Filter
from domain.analytics.windows import RANGES, Window, window_of
from domain.credit_amounts import credits_text
from portal.api.endpoint import Endpoint
from portal.api.models import Answer, Credits, Query
from portal.charts.axes import slot_names
from portal.web.events import LiveEvents
from portal.web.visit import Visit

RangeName = Literal["24h", "7d", "30d", "90d"]
Metric = Literal["requests", "errors", "refused", "latency", "bytes", "credits"]
_EXAMPLE_ID = "7e0c3b0e-2f86-4a55-9a55-8f2a5a1f0c11"
_Id = Annotated[UUID | None, Field(examples=[_EXAMPLE_ID])]


class LookQuery(Query):
    """A window, and what of the organization's usage is looked at."""

    range: Annotated[
        RangeName, Field(description="24 hours; 7 days; 30 or 90 days of your time zone.", examples=["7d"])
    ] = "24h"
    key: Annotated[_Id, Field(description="Only this API key.")] = None
    service: Annotated[_Id, Field(description="Only this service.")] = None
    operation: Annotated[_Id, Field(description="Only this operation.")] = None


class ChartQuery(LookQuery):
    """What is drawn."""

    metric: Annotated[Metric, Field(description="Which figures.", examples=["latency"])] = "requests"


class FiguresAnswer(Answer):
    """Sums of a window. Latencies are of the whole time that callers waited, right within 27 %."""

    requests: Annotated[int, Field(examples=[120_000])]
    errors: Annotated[int, Field(description="Answers from 400 on, and those that were cut.", examples=[240])]
    refused: Annotated[int, Field(description="Of errors: those that we refused ourselves.", examples=[40])]
    bytes_in: Annotated[int, Field(examples=[1_200_000])]
    bytes_out: Annotated[int, Field(examples=[48_000_000])]
    credits: Annotated[Credits | None, Field(description="Charged; null for who may not see it.", examples=["120.5"])]
    p50_ms: Annotated[float | None, Field(examples=[12.4])]
    p95_ms: Annotated[float | None, Field(examples=[48.0])]
    p99_ms: Annotated[float | None, Field(examples=[210.7])]
    by_status_class: Annotated[
        dict[str, int],
        Field(description="Requests by status class.", examples=[{"2xx": 119_760, "4xx": 200, "5xx": 40}]),
    ]


class LineAnswer(Answer):
    """One key, service or operation. `gone`: it was deleted."""

    id: UUID
    name: Annotated[str, Field(examples=["Production"])]
    detail: Annotated[str, Field(examples=["pe_live_ab\u20269x2Q"])]
    gone: bool
    requests: int
    errors: int
    refused: int
    credits: Credits | None


class LimitAnswer(Answer):
    """One limit of the plan, or a spend cap; `unit` is requests, quota or credits (then in micro-credits)."""

    name: Annotated[str, Field(examples=["hour"])]
    amount: Annotated[int, Field(examples=[1000])]
    period: Annotated[str, Field(examples=["hour"])]
    scope: Annotated[str, Field(examples=["organization"])]
    unit: Annotated[str, Field(examples=["requests"])]
    shadow: Annotated[bool, Field(description="Counted, never enforced.")]
    used: Annotated[int | None, Field(description="Null: each key has its own, or it cannot be read.", examples=[12])]
    remaining: Annotated[int | None, Field(examples=[988])]
    resets_at: datetime | None


class CreditsNow(Answer):
    """Balance, and what of it is held."""

    balance: Credits
    reserved: Credits
    leased: Credits


class StatsAnswer(Answer):
    """Usage of the window. `change` compares its whole hours with the window before: 0.5 is half as much again."""

    model_config = ConfigDict(json_schema_extra={"description": "Everything that the dashboard's page shows."})

    range: RangeName
    since: datetime
    until: datetime
    time_zone: Annotated[str, Field(examples=["Europe/Berlin"])]
    total: FiguresAnswer
    before: FiguresAnswer
    change: Annotated[dict[str, float | None], Field(examples=[{"requests": 0.12, "errors": None, "p95_ms": -0.03}])]
    keys: list[LineAnswer]
    services: list[LineAnswer]
    operations: list[LineAnswer]
    plan: Annotated[str | None, Field(examples=["Pro"])]
    limits: list[LimitAnswer]
    credits: CreditsNow | None


class LaneAnswer(Answer):
    """One line of the chart: a value for each slot, null where there is none."""

    name: Annotated[str, Field(examples=["p95"])]
    values: Annotated[list[float | None], Field(examples=[[12.1, None, 14.9]])]


class ChartAnswer(Answer):
    """`slots` say when each begins, `labels` the same in words of your time zone; the last one is not over."""

    range: RangeName
    metric: Metric
    unit: Annotated[str, Field(description="requests, ms, bytes or credits.", examples=["ms"])]
    slots: list[datetime]
    labels: list[str]
    lanes: list[LaneAnswer]


async def stats(visit: Visit, query: LookQuery) -> StatsAnswer:
    """GET /api/dashboard/stats."""
    window, wanted = _look(visit, query)
    billing = visit.access.may(Permission.BILLING_VIEW)
    series = await read_series(visit.connection, visit.access, window, wanted, visit.services.logs)
    lines = await read_breakdown(visit.connection, visit.access, window, wanted, visit.services.logs)
    standing = await read_standing(visit.connection, visit.services.limiter, visit.access, window.now)
    return StatsAnswer(
        range=query.range,
        since=window.start,
        until=window.now,
        time_zone=window.zone,
        total=_figures(series.total, billing=billing),
        before=_figures(series.before, billing=billing),
        change=_changes(series, billing=billing),
        keys=[_line(line, billing=billing) for line in lines.keys],
        services=[_line(line, billing=billing) for line in lines.services],
        operations=[_line(line, billing=billing) for line in lines.operations],
        plan=standing.plan,
        limits=[_limit(limit) for limit in standing.limits],
        credits=_credits(standing),
    )


async def chart_data(visit: Visit, query: ChartQuery) -> ChartAnswer:
    """GET /api/dashboard/chart-data. Raises Forbidden for credits of who may not see them."""
    if query.metric == "credits":
        visit.access.require(Permission.BILLING_VIEW)
    window, wanted = _look(visit, query)
    series = await read_series(visit.connection, visit.access, window, wanted, visit.services.logs)
    unit, lanes = _LANES[query.metric]
    return ChartAnswer(
        range=query.range,
        metric=query.metric,
        unit=unit,
        slots=list(window.edges[:-1]),
        labels=slot_names(window),
        lanes=[
            LaneAnswer(name=name, values=[_value(figures, field) for figures in series.slots]) for name, field in lanes
        ],
    )


async def live(visit: Visit) -> Response:
    """GET /api/dashboard/live. Raises TooManyTries."""
    return LiveEvents(visit)


_LANES: dict[Metric, tuple[str, tuple[tuple[str, str], ...]]] = {
    "requests": (
        "requests",
        (
            ("succeeded", "succeeded"),
            ("client_errors", "client_errors"),
            ("refused", "refused"),
            ("failures", "failures"),
        ),
    ),
    "errors": ("requests", (("errors", "errors"),)),
    "refused": ("requests", (("refused", "refused"),)),
    "latency": ("ms", (("p50", "p50_us"), ("p95", "p95_us"), ("p99", "p99_us"))),
    "bytes": ("bytes", (("bytes_in", "bytes_in"), ("bytes_out", "bytes_out"))),
    "credits": ("credits", (("credits", "cost_micro"),)),
}
_CLASSES = ("other", "1xx", "2xx", "3xx", "4xx", "5xx")


def _look(visit: Visit, query: LookQuery) -> tuple[Window, Filter]:
    window = window_of(RANGES[query.range], datetime.now(UTC), visit.person.time_zone)
    return window, Filter(query.key, query.service, query.operation)


def _value(figures: Figures, field: str) -> float | None:
    value: int | None = getattr(figures, field)
    if value is None:
        return None
    return value / {"cost_micro": 1_000_000}.get(field, 1_000 if field.endswith("_us") else 1)


def _figures(figures: Figures, *, billing: bool) -> FiguresAnswer:
    return FiguresAnswer(
        requests=figures.requests,
        errors=figures.errors,
        refused=figures.refused,
        bytes_in=figures.bytes_in,
        bytes_out=figures.bytes_out,
        credits=credits_text(figures.cost_micro) if billing else None,
        p50_ms=_value(figures, "p50_us"),
        p95_ms=_value(figures, "p95_us"),
        p99_ms=_value(figures, "p99_us"),
        by_status_class={name: count for name, count in zip(_CLASSES, figures.by_class, strict=True) if count},
    )


def _changes(series: Series, *, billing: bool) -> dict[str, float | None]:
    now, before = series.elapsed, series.before
    fields: dict[str, str] = {name: name for name in ("requests", "errors", "refused", "bytes_out")}
    fields |= {f"p{share}_ms": f"p{share}_us" for share in (50, 95, 99)}
    if billing:
        fields["credits"] = "cost_micro"
    return {name: change(getattr(now, field), getattr(before, field)) for name, field in fields.items()}


def _line(line: Line, *, billing: bool) -> LineAnswer:
    fields: dict[str, Any] = {name: getattr(line, name) for name in LineAnswer.model_fields if name != "credits"}
    return LineAnswer(**fields, credits=credits_text(line.cost_micro) if billing else None)


def _limit(limit: LimitNow) -> LimitAnswer:
    return LimitAnswer.model_validate(limit)


def _credits(standing: Standing) -> CreditsNow | None:
    found = standing.credits
    if found is None:
        return None
    return CreditsNow(
        balance=credits_text(found.balance_micro),
        reserved=credits_text(found.reserved_micro),
        leased=credits_text(found.leased_micro),
    )


ENDPOINTS = (
    Endpoint(
        "GET",
        "/dashboard/stats",
        stats,
        "Usage of a window, by key, service and operation; limits and credits now",
        "dashboard",
        query=LookQuery,
        answer=StatsAnswer,
        permission=Permission.VIEW,
    ),
    Endpoint(
        "GET",
        "/dashboard/chart-data",
        chart_data,
        "Usage of a window in slots",
        "dashboard",
        query=ChartQuery,
        answer=ChartAnswer,
        permission=Permission.VIEW,
    ),
    Endpoint(
        "GET",
        "/dashboard/live",
        live,
        "Usage as it happens",
        "dashboard",
        description="Server-sent events: `usage` at most once a second, when something changed; `end` after 15 minutes,"
        " or when the session or token has ended. At most 6 streams for each person.",
        permission=Permission.VIEW,
        connected=False,
        media_types=("text/event-stream",),
        also=(429,),
    ),
)
