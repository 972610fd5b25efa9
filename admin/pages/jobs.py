"""Nightly and hourly work: each job with its last run, every run, what failed for good."""

from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlencode
from uuid import UUID

from admin.web.layout import Page
from admin.web.page import PageRoute, chosen
from admin.web.visit import Visit
from domain.cursors import Cursor, parse_cursor
from domain.job_run_reading import JobOverview, RunRecord, fetch_run, list_runs, overview
from domain.operators import Right
from schema.jobs import RunState

PATH = "/jobs"
STATES = tuple(state.value for state in RunState)
_PAGE = 50


@dataclass(frozen=True, kw_only=True)
class JobsPage(Page):
    """All jobs, and the latest runs of all or of one."""

    template: ClassVar[str] = "jobs.html"
    title: str = "Jobs"
    jobs: list[JobOverview]
    runs: list[RunRecord]
    name: str
    state: str
    first: str
    following: str
    states: tuple[str, ...] = STATES


@dataclass(frozen=True, kw_only=True)
class RunPage(Page):
    """One run in full."""

    template: ClassVar[str] = "job_run.html"
    run: RunRecord


async def show_all(visit: Visit) -> Page:
    """GET /jobs."""
    name, state, cursor = chosen(visit, "name")[:60], chosen(visit, "state"), parse_cursor(chosen(visit, "cursor"))
    known = state if state in STATES else ""
    before = (cursor.at, cursor.id) if cursor else None
    runs = await list_runs(visit.connection, name=name or None, state=known or None, before=before, most=_PAGE + 1)
    query = {key: text for key, text in (("name", name), ("state", known)) if text}
    last = runs[_PAGE - 1] if len(runs) > _PAGE else None
    following = {**query, "cursor": str(Cursor(last.created_at, last.id))} if last else None
    return JobsPage(
        jobs=await overview(visit.connection),
        runs=runs[:_PAGE],
        name=name,
        state=known,
        first=_url(query) if cursor else "",
        following=_url(following) if following else "",
    )


async def show(visit: Visit, run_id: UUID) -> Page:
    """GET /jobs/{run_id}."""
    run = await fetch_run(visit.connection, run_id)
    return RunPage(title=f"Run of {run.name}", run=run)


def _url(query: dict[str, str]) -> str:
    return f"{PATH}?{urlencode(query)}" if query else PATH


PAGES = (
    PageRoute(PATH, show_all, right=Right.LOOK),
    PageRoute(f"{PATH}/{{run_id:uuid}}", show, right=Right.LOOK),
)
