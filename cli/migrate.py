"""`paid-endpoint migrate`: the database gets this version's schema."""

import typer

from cli.connecting import run_or_fail, settings_or_fail
from cli.output import JsonOption, print_json
from domain.migrating import migrate

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: DATABASE_URL=postgresql://app@db/paid_endpoint paid-endpoint migrate")
def main(as_json: JsonOption = False) -> None:
    """Bring the database to this version's schema; safe to run again, and by several at once."""
    settings = settings_or_fail()
    report = run_or_fail(migrate(settings.database.url.get_secret_value()))
    if as_json:
        print_json(report)
        return
    for name in report.applied:
        typer.echo(f"Applied migration {name}.")
    for name in report.partitions:
        typer.echo(f"Made partition {name}.")
    typer.echo(f"The database has all {report.known} migrations.")
