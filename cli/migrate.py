"""`paid-endpoint migrate`: the database gets this version's schema."""

import typer

from cli.connecting import run_or_fail, settings_or_fail
from cli.output import JsonOption, as_data, print_json
from domain.log_store.turning import turn_on_if_set
from domain.migrating import migrate

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: DATABASE_URL=postgresql://app@db/paid_endpoint paid-endpoint migrate")
def main(as_json: JsonOption = False) -> None:
    """Bring the database to this version's schema; safe to run again, and by several at once."""
    settings = settings_or_fail()
    dsn = settings.database.url.get_secret_value()
    report = run_or_fail(migrate(dsn))
    turned_on = run_or_fail(turn_on_if_set(settings, dsn))
    if as_json:
        print_json(as_data(report) | ({"log_store": as_data(turned_on)} if turned_on else {}))
        return
    for name in report.applied:
        typer.echo(f"Applied migration {name}.")
    for name in report.partitions:
        typer.echo(f"Made partition {name}.")
    typer.echo(f"The database has all {report.known} migrations.")
    if turned_on:
        typer.echo(f"The log store is ready; {turned_on.adopted} rows of before are to be sent.")
