"""`paid-endpoint log-store`: ClickHouse for request logs, beside PostgreSQL."""

from typing import Annotated, Any

import typer

from cli.connecting import with_connection
from cli.durations import parse_duration
from cli.output import JsonOption, fail, print_json
from domain.log_store.outbox import adopt as adopt_rows
from domain.log_store.store import open_store
from domain.log_store.turning import StoreReport, report, turn_off
from domain.log_store.turning import rewind as rewind_to
from domain.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Look at ClickHouse for request logs; send it what it lacks; turn it off.")


@app.command(epilog="Example: paid-endpoint log-store status --json")
def status(as_json: JsonOption = False) -> None:
    """Show whether logs go there, how many rows wait to be sent, and which days each of the two has."""

    async def work(connection: Any, settings: Settings) -> StoreReport:
        async with open_store(_url(settings)) as store:
            return await report(connection, store)

    found = with_connection(work)
    if as_json:
        print_json(found)
        return
    typer.echo(f"Log store: {found.address}, tables of version {found.version} of {found.wanted_version}")
    typer.echo(
        f"On: {'yes' if found.on else 'no; run: paid-endpoint migrate'}; pages read it: {'yes' if found.ready else 'no'}"
    )
    typer.echo(
        f"Waiting: {found.waiting.rows} rows"
        + (f", since {found.waiting.oldest:%Y-%m-%d %H:%M:%S} UTC" if found.waiting.oldest else "")
    )
    typer.echo(f"Days there: {', '.join(map(str, found.days)) or 'none'}")
    typer.echo(f"Days in PostgreSQL: {', '.join(map(str, found.postgres_days)) or 'none'}")


@app.command(epilog="Example: paid-endpoint log-store adopt")
def adopt(as_json: JsonOption = False) -> None:
    """Compare batch by batch, and send what PostgreSQL has and the log store has not."""

    async def work(connection: Any, settings: Settings) -> int:
        async with open_store(_url(settings)) as store:
            return await adopt_rows(connection, store)

    rows = with_connection(work)
    if as_json:
        print_json({"rows": rows})
        return
    typer.echo(f"{rows} rows are to be sent; `paid-endpoint log-store status` says how many wait.")


@app.command(epilog="Example: paid-endpoint log-store off --yes")
def off(
    yes: bool = typer.Option(False, "--yes", help="Do it: days that PostgreSQL has no more are shown no more."),
) -> None:
    """Send nothing more there. Afterwards take LOG_STORE_URL out of every process's environment, and restart them."""
    if not yes:
        fail("Days that only the log store has would be shown no more. Add --yes to do it; they stay in ClickHouse.")

    async def work(connection: Any, _: Settings) -> bool:
        return await turn_off(connection)

    typer.echo("Request logs go to PostgreSQL alone." if with_connection(work) else "It was off.")


@app.command(epilog="Example: paid-endpoint log-store rewind --since 10m")
def rewind(
    since: Annotated[str, typer.Option(help="How far back PostgreSQL may have lost what was stored: 90s, 10m, 2h.")],
) -> None:
    """After a failover to a PostgreSQL that lacks the last seconds: the log store forgets them too, and gets what is there."""
    age = parse_duration(since)

    async def work(connection: Any, _: Settings) -> bool:
        return await rewind_to(connection, await connection.fetchval("select now()") - age)

    if not with_connection(work):
        fail("The database sends no logs to a log store.")
    typer.echo("The ingester does it before it sends anything more; until then pages may show requests twice.")


def _url(settings: Settings) -> str:
    url = settings.logs.store_url.get_secret_value()
    if not url:
        fail("LOG_STORE_URL is not set: request logs are in PostgreSQL alone.")
    return url
