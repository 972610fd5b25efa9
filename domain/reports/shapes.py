"""What every report is made of: columns, rows, facts, a chart, and for each row the requests behind it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from domain.reports.windows import ReportWindow

ColumnKind = Literal[
    "text", "count", "credits_micro", "percent", "duration_ms", "moment", "organization", "operation", "service", "key",
    "plan",
]  # fmt: skip
"""Values: text str; count and credits_micro int; percent (0 to 100 and more) and duration_ms float; moment datetime in UTC;
the others `Named`. Any may be None: unknown, or nothing to divide by."""


@dataclass(frozen=True, slots=True)
class Named:
    """An organization, service, operation, key or plan. `detail`: its slug, an operation's service, a key's ending."""

    id: UUID | None
    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """`name` is unique within the report, for programs; `title` is for people."""

    name: str
    title: str
    kind: ColumnKind


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure of the whole, beside the rows."""

    name: str
    title: str
    kind: ColumnKind
    value: Any


@dataclass(frozen=True, slots=True)
class Line:
    """One y for every x of its chart; None where there is none."""

    name: str
    unit: ColumnKind
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """`x` are moments (UTC, where a bucket begins) or categories."""

    x: tuple[datetime | str, ...]
    lines: tuple[Line, ...]


LogFilters = Mapping[str, str]
"""Filters of a log search by the names of `domain.log_filters.NAMES`, and `organization` (a slug)."""


@dataclass(frozen=True, slots=True)
class Report:
    """`sentence` says what is counted, from which source and up to when. `filters` has one element for each row.

    `more`: there are further rows, on the next page where the report has pages, otherwise with a greater limit.
    """

    slug: str
    title: str
    sentence: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    filters: tuple[LogFilters | None, ...]
    series: Chart | None = None
    facts: tuple[Fact, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class ReportChoice:
    """What is looked at. None does not restrict. `organization` etc. are what the ids stand for.

    `limit` is the most rows; `page` counts from 1; `which` is the list or the order, of reports that have several.
    """

    window: ReportWindow
    organization: Named | None = None
    service: Named | None = None
    operation: Named | None = None
    limit: int = 50
    page: int = 1
    which: str = ""


Make = Callable[[Any, ReportChoice], Awaitable[Report]]


@dataclass(frozen=True, slots=True)
class ReportKind:
    """A report that there is. `parameters` of window, organization, service, operation, limit, page, which.

    `which` are the values of that parameter, the first by default. `window` is the default window's name.
    """

    slug: str
    title: str
    question: str
    parameters: tuple[str, ...]
    make: Make
    window: str = "24h"
    which: tuple[str, ...] = ()
