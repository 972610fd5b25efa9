"""`paid-endpoint seed`: a demo to look at and to measure with."""

from typing import Annotated

import typer

from cli.connecting import with_connection
from cli.output import USAGE, JsonOption, fail, print_json
from domain.seed import SeedReport, seed
from domain.settings import Settings

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: paid-endpoint seed --upstream http://127.0.0.1:8000")
def main(
    upstream: Annotated[str | None, typer.Option(help="Of the service /proxy; default: UPSTREAM_API_URL.")] = None,
    admin_email: Annotated[str, typer.Option(help="The operator.")] = "admin@example.com",
    user_email: Annotated[str, typer.Option(help="The customer who owns the demo organizations.")] = (
        "customer@example.com"
    ),
    as_json: JsonOption = False,
) -> None:
    """Make the demo plans, people, organizations, keys and service that are missing; change nothing that is there."""

    async def work(connection: object, settings: Settings) -> SeedReport:
        url = upstream or settings.upstream.api_url
        if not url:
            fail("Give --upstream, or set UPSTREAM_API_URL.", USAGE)
        return await seed(connection, settings.keys, upstream_url=url, admin_email=admin_email, user_email=user_email)

    report = with_connection(work)
    if as_json:
        print_json(report)
        return
    for thing in report.created:
        typer.echo(f"Made {thing}.")
    if report.admin_password:
        typer.echo(f"Operator {report.admin_email} has the password {report.admin_password}")
    if report.user_password:
        typer.echo(f"Customer {report.user_email} has the password {report.user_password}")
    for variable, plaintext in report.keys.items():
        typer.echo(f"{variable}={plaintext}")
    if not report.created:
        typer.echo("Everything is there already.")
