"""`paid-endpoint jobs`: work by the clock. Without a command it runs the worker process."""

import asyncio
import logging
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import typer

from cli.actors import OPERATOR
from cli.connecting import settings_or_fail, with_connection
from cli.output import JsonOption, as_data, fail, note, print_record, print_rows
from domain.job_run_reading import RunRecord, fetch_run, list_runs, overview
from domain.job_runs import publish, request_run, retry, valid_arguments
from domain.settings import Settings
from schema.jobs import RunState

app = typer.Typer(invoke_without_command=True)

HISTORY = ("id", "name", "state", "attempt", "created_at", "started_at", "seconds", "requested_by", "error")
LIST = ("name", "cron", "state", "started_at", "median_seconds", "next", "failed", "description")
_LOOK_SECONDS = 0.3
_NO_WORKER_SECONDS = 10.0

Name = Annotated[str, typer.Argument(help="The job's name; see `jobs list`.")]
Most = Annotated[int, typer.Option(min=1, max=10_000, help="Runs at the most.")]
Waited = Annotated[float, typer.Option(min=0, help="Seconds to wait for its end.")]


@app.callback()
def jobs(context: typer.Context) -> None:
    """Run jobs by their schedules, as production does; SIGTERM stops it. The commands look at runs and ask for them."""
    if context.invoked_subcommand is not None:
        return
    from jobs.engine.process import serve

    settings = settings_or_fail()
    logging.basicConfig(level=settings.logs.level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        serve(settings)
    except OSError as error:
        fail(f"{settings.jobs.host}:{settings.jobs.port} cannot be listened on: {error.strerror or error}")


@app.command("list", epilog="Example: paid-endpoint jobs list --json")
def list_(as_json: JsonOption = False) -> None:
    """List jobs with their last run, how long they take, and when they are due next."""
    from jobs.engine.schedule import due_after
    from jobs.registry import BY_NAME, JOBS
    from jobs.work import utc_now

    async def work(connection: Any, _: object) -> list[dict[str, Any]]:
        await publish(connection, [job.record for job in JOBS])
        rows = []
        for one in await overview(connection):
            fields = {name: getattr(one, name) for name in one.__dataclass_fields__}
            rows.append({**fields, "next": due_after(BY_NAME[one.name], utc_now())})
        return rows

    print_rows(with_connection(work), LIST, as_json=as_json)


@app.command(epilog="Example: paid-endpoint jobs run log-summaries --day 2026-11-20")
def run(
    name: Name,
    day: Annotated[str | None, typer.Option(help="Of which UTC day, for jobs that look at one: 2026-11-20.")] = None,
    here: Annotated[bool, typer.Option("--here", help="In this process, with or without Redis.")] = False,
    wait: Waited = 600.0,
    as_json: JsonOption = False,
) -> None:
    """Run a job now and wait for its end. Exit status 1 if it failed."""
    from jobs.registry import JOBS, job_named

    async def work(connection: Any, settings: Settings) -> RunRecord:
        job = job_named(name)
        arguments = {} if day is None else {"day": day}
        valid_arguments(arguments)
        if day is not None and not job.takes_day:
            fail(f"{name} does not look at one day.", 2)
        await publish(connection, [one.record for one in JOBS])
        run_id = await request_run(connection, name, arguments, OPERATOR)
        if here:
            from jobs.engine.here import run_here

            await run_here(settings, job, run_id)
        return await _ended(connection, run_id, wait)

    _show(with_connection(work), as_json=as_json)


@app.command(epilog="Example: paid-endpoint jobs history log-partitions --json")
def history(
    name: Annotated[str | None, typer.Argument(help="Only of this job.")] = None,
    state: Annotated[RunState | None, typer.Option(help="Only in this state.")] = None,
    most: Most = 50,
    as_json: JsonOption = False,
) -> None:
    """List runs, newest first."""
    chosen = None if state is None else state.value
    print_rows(_runs(name, chosen, most), HISTORY, as_json=as_json)


@app.command(epilog="Example: paid-endpoint jobs failed")
def failed(most: Most = 50, as_json: JsonOption = False) -> None:
    """List runs that failed for good and that nobody has tried again."""
    print_rows(_runs(None, RunState.FAILED.value, most), HISTORY, as_json=as_json)


@app.command("retry", epilog="Example: paid-endpoint jobs retry 0d5b2f7e-3d52-4a0e-9c9c-1a5f6b0f4a11")
def retry_(
    run_id: Annotated[UUID, typer.Argument(metavar="ID", help="The run's id; see `jobs failed`.")],
    wait: Waited = 600.0,
    as_json: JsonOption = False,
) -> None:
    """Try again what failed for good, and wait for its end."""

    async def work(connection: Any, _: object) -> RunRecord:
        return await _ended(connection, await retry(connection, run_id, OPERATOR), wait)

    _show(with_connection(work), as_json=as_json)


def _runs(name: str | None, state: str | None, most: int) -> list[RunRecord]:
    return with_connection(lambda connection, _: list_runs(connection, name=name, state=state, most=most))


async def _ended(connection: asyncpg.Connection, run_id: UUID, seconds: float) -> RunRecord:
    """The run once it has ended, or as it is after so long; tells progress meanwhile."""
    loop = asyncio.get_running_loop()
    begun, told, warned = loop.time(), None, False
    while True:
        found = await fetch_run(connection, run_id)
        if found.ended_at is not None or loop.time() - begun >= seconds:
            return found
        if found.progress is not None and found.progress != told:
            told = found.progress
            note(f"{told['what']}: {told['done']} of {told['of']}")
        if found.state == "waiting" and not warned and loop.time() - begun > _NO_WORKER_SECONDS:
            warned = True
            note("No worker has taken it yet. Is `paid-endpoint jobs` running? `--here` runs it without one.")
        await asyncio.sleep(_LOOK_SECONDS)


def with_names(run: dict[str, Any]) -> dict[str, Any]:
    """The fields of a run for people: figures say what they count."""
    named = {name: value for name, value in run.items() if isinstance(value, dict)}
    return run | {
        name: [f"{of.replace('_', ' ')} {figure}" for of, figure in part.items()] for name, part in named.items()
    }


def _show(found: RunRecord, *, as_json: bool) -> None:
    print_record(found if as_json else with_names(as_data(found)), as_json=as_json)
    if found.ended_at is None:
        note("It has not ended yet; see `paid-endpoint jobs history`.")
    if found.state != "succeeded":
        raise typer.Exit(1)
