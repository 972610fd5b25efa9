"""`paid-endpoint import-legacy`: what an older installation has comes here, and its keys go on working."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from cli.actors import OPERATOR
from cli.connecting import with_connection
from cli.output import USAGE, JsonOption, as_data, fail, note, print_json, print_rows
from domain.csv_texts import csv_lines
from domain.legacy.importing import Options, import_legacy
from domain.legacy.report import HEAD, Line, Totals, csv_of
from domain.settings import Settings

app = typer.Typer()

PROGRESS_ROWS = 10_000
Dsn = Annotated[
    str, typer.Argument(metavar="DSN", envvar="LEGACY_DATABASE_URL", help="The older database.", show_default=False)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would become of every row.")]
ReportFile = Annotated[Path | None, typer.Option("--report", help="Write a line for every row to this CSV file.")]
PlanOption = Annotated[
    list[str] | None, typer.Option("--plan", help="OLD=SLUG: a plan of here stands for an older one; repeat it.")
]
Links = Annotated[
    bool,
    typer.Option("--send-reset-links", help="Mail owners a link to choose a password; who was mailed is not again."),
]


@app.command(epilog="Example: paid-endpoint import-legacy postgresql://reader@old-db/shop --dry-run --report rows.csv")
def import_legacy_(
    dsn: Dsn,
    dry_run: DryRun = False,
    report: ReportFile = None,
    plan: PlanOption = None,
    limits_per: Annotated[str, typer.Option(help="Whose the plans' limits are: key or organization.")] = "key",
    source: Annotated[str, typer.Option(help="A name for the older installation, if there are several.")] = "v1",
    send_reset_links: Links = False,
    as_json: JsonOption = False,
) -> None:
    """Import clients, plans and API keys of an older installation; a second time changes nothing.

    The older database is only read. Old keys work here at once. What is dirty is skipped or mended, and said;
    docs/import-legacy.md says how. Killed in the middle, it goes on when it is run again.
    """
    options = Options(source, _plans(plan), limits_per, dry_run, send_reset_links)
    begin = time.monotonic()
    with _report_file(report) as file:

        async def work(connection: Any, settings: Settings) -> Totals:
            return await import_legacy(connection, settings, dsn, OPERATOR, options, _teller(file))

        totals = with_connection(work)
    _print(totals, time.monotonic() - begin, dry_run=dry_run, links=send_reset_links, as_json=as_json)


def _plans(given: list[str] | None) -> dict[str, str]:
    plans = {}
    for text in given or []:
        old_id, equals, slug = text.rpartition("=")
        if not (old_id and equals and slug):
            fail(f"'{text[:80]}' is no OLD=SLUG.", USAGE)
        plans[old_id] = slug
    return plans


def _teller(file: BinaryIO | None) -> Any:
    told = 0

    def tell(lines: list[Line]) -> None:
        nonlocal told
        if file is not None:
            file.write(csv_of(lines))
        before, told = told, told + len(lines)
        if told // PROGRESS_ROWS > before // PROGRESS_ROWS:
            note(f"{told} rows ...")

    return tell


@contextmanager
def _report_file(path: Path | None) -> Iterator[BinaryIO | None]:
    """A file that is there when it is whole, for its owner alone: its rows tell who the customers are."""
    if path is None:
        yield None
        return
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror or error}.", USAGE)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(csv_lines([HEAD]))
            yield file
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _print(totals: Totals, seconds: float, *, dry_run: bool, links: bool, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "seconds": round(seconds, 1),
                "totals": as_data(totals.rows()),
                "reset_links": totals.reset_links,
            }
        )
        return
    print_rows(totals.rows(), ("table", "outcome", "rows", "note"), as_json=False)
    if links:
        note(f"{totals.reset_links} reset links {'would be' if dry_run else 'were'} queued.")
    note(f"{'Nothing was changed: a dry run.' if dry_run else 'Done.'} {seconds:.1f} s.")
