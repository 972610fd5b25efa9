"""Running a job now, and retrying a run that failed for good."""

from datetime import date
from uuid import UUID

from admin.actions.action import Action, Field, Options, Outcome, Preview, Values
from admin.web.visit import Visit
from domain.faults import Conflict, NotFound
from domain.job_run_reading import fetch_run, overview
from domain.job_runs import request_run, retry
from domain.operators import Right


class Run(Values):
    """The job, and the day for those that look at one."""

    name: str
    day: date | None = None


class Retry(Values):
    """The run that failed."""

    run: UUID


async def _jobs(visit: Visit) -> Options:
    return tuple((job.name, f"{job.name}: {job.description}") for job in await overview(visit.connection))


async def _preview_run(visit: Visit, values: Run) -> Preview:
    job = next((job for job in await overview(visit.connection) if job.name == values.name), None)
    if job is None:
        raise NotFound("There is no such job. Do the job workers run?")
    about = f" for {values.day}" if values.day else ""
    warnings = (f"{job.failed} of its runs failed and wait for somebody.",) if job.failed else ()
    return Preview(
        (f"A worker begins {job.name}{about} as soon as one is free. {job.description}",),
        warnings=warnings,
    )


async def _run(visit: Visit, values: Run, reason: str) -> Outcome:
    arguments = {"day": values.day.isoformat()} if values.day else {}
    run_id = await request_run(visit.connection, values.name, arguments, visit.actor, reason=reason)
    return Outcome(f"{values.name} will run.", (("See the run", f"/jobs/{run_id}"),))


async def _preview_retry(visit: Visit, values: Retry) -> Preview:
    run = await fetch_run(visit.connection, values.run)
    if run.state != "failed":
        raise Conflict(f"Only what failed can be tried again; this run is {run.state}.")
    return Preview((f"{run.name} is run again with what it was asked for.", f"It failed with: {run.error}"))


async def _retry(visit: Visit, values: Retry, reason: str) -> Outcome:
    run_id = await retry(visit.connection, values.run, visit.actor, reason=reason)
    return Outcome("It will run again.", (("See the run", f"/jobs/{run_id}"),))


ACTIONS = (
    Action(
        slug="run-job",
        title="Run a job now",
        group="Running it",
        right=Right.RUN,
        summary="Jobs run by themselves; this runs one at once, for a day that was wrong for example.",
        model=Run,
        fields=(
            Field("name", "Job", "choice", options=_jobs),
            Field("day", "Day", "date", required=False, hint="Only for jobs that look at one day."),
        ),
        preview=_preview_run,
        carry_out=_run,
        button="Run it",
    ),
    Action(
        slug="retry-job",
        title="Retry a failed run",
        group="Running it",
        right=Right.RUN,
        summary="A run that was given up is tried again.",
        model=Retry,
        fields=(Field("run", "Run", hint="Its id, from the page of jobs.", maxlength=36),),
        preview=_preview_retry,
        carry_out=_retry,
        button="Retry",
    ),
)
