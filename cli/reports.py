"""`paid-endpoint reports`: what goes on, as operators ask for it."""

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli.connecting import with_connection
from cli.output import JsonOption, fail, note, print_json, print_rows, print_table
from domain.credit_amounts import credits_text
from domain.job_queue import QueueDepth, queue_depth_if_there
from domain.redis_client import open_client
from domain.reports.choosing import parse_choice
from domain.reports.health import with_queue
from domain.reports.registry import REPORTS
from domain.reports.report_csv import report_csv
from domain.reports.shapes import Column, Named, Report, ReportChoice
from domain.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Show what goes on in the business and the installation.")

CsvOption = Annotated[bool, typer.Option("--csv", help="Print CSV.")]


@app.command("list", epilog="Example: paid-endpoint reports list")
def list_(as_json: JsonOption = False) -> None:
    """List the reports with the question that each answers."""
    rows = [
        {"slug": kind.slug, "question": kind.question, "parameters": list(kind.parameters), "which": list(kind.which)}
        for kind in REPORTS.values()
    ]
    print_rows(rows, ("slug", "question", "parameters"), as_json=as_json)


@app.command(epilog="Example: paid-endpoint reports show top-organizations --window 30d --which credits")
def show(
    slug: Annotated[str, typer.Argument(metavar="SLUG", help="Of `paid-endpoint reports list`.")],
    window: Annotated[str | None, typer.Option(help="1h, 24h, 7d, 30d or 90d, back from now (UTC).")] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="Instead of a window: 2026-01-31 or 2026-01-31T10:00.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="With --from; default: now.")] = None,
    organization: Annotated[str | None, typer.Option(help="Only of this organization (slug).")] = None,
    service: Annotated[str | None, typer.Option(help="Only of this service (slug).")] = None,
    operation: Annotated[str | None, typer.Option(help="Only of the operation with this id.")] = None,
    which: Annotated[str | None, typer.Option(help="Of reports with several lists or orders.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, max=500, help="At most so many rows.")] = None,
    page: Annotated[int | None, typer.Option(min=1, max=200, help="Which page, of reports that have pages.")] = None,
    as_csv: CsvOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show one report."""
    if as_csv and as_json:
        raise typer.BadParameter("Take --csv or --json.")
    if slug not in REPORTS:
        fail(f"There is no report '{slug}'. Known: {', '.join(REPORTS)}.")
    kind = REPORTS[slug]
    texts = {
        "window": window, "from": since, "to": until, "organization": organization, "service": service,
        "operation": operation, "which": which, "limit": limit, "page": page,
    }  # fmt: skip
    given = {name: str(value) for name, value in texts.items() if value is not None}
    _refuse_untaken(given, kind.parameters)

    async def work(connection: Any, settings: Settings) -> Report:
        choice: ReportChoice = await parse_choice(connection, kind, given, datetime.now(UTC))
        report = await kind.make(connection, choice)
        return with_queue(report, await _queue_depth(settings)) if slug == "system-health" else report

    report = with_connection(work)
    if as_csv:
        for piece in report_csv(report):
            sys.stdout.buffer.write(piece)
    elif as_json:
        print_json(report)
    else:
        _print(report)


async def _queue_depth(settings: Settings) -> QueueDepth | None:
    client = open_client(settings.redis)
    try:
        return await queue_depth_if_there(client)
    finally:
        await client.aclose()


def _refuse_untaken(given: dict[str, str], parameters: tuple[str, ...]) -> None:
    """A filter that would be left alone must not look as if it had worked."""
    for name in given:
        if ("window" if name in {"from", "to"} else name) not in parameters:
            raise typer.BadParameter(f"This report takes no --{name}.")


def _print(report: Report) -> None:
    note(f"{report.title}. {report.sentence}")
    for fact in report.facts:
        note(f"  {fact.title}: {_text(Column(fact.name, fact.title, fact.kind), fact.value)}")
    if report.rows:
        columns = report.columns
        print_table(
            [column.title for column in columns],
            [[_text(column, value) for column, value in zip(columns, row, strict=True)] for row in report.rows],
        )
    else:
        typer.echo("None.")
    if report.more:
        note("There are more rows.")


def _text(column: Column, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, Named):
        return f"{value.name} ({value.detail})" if value.detail else value.name
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
    units = {"percent": f"{value} %", "duration_ms": f"{value} ms"}
    return credits_text(value) if column.kind == "credits_micro" else units.get(column.kind, str(value))
