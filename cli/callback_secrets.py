"""`paid-endpoint services callback-secret`: with what a service's upstream signs its callbacks of jobs."""

from datetime import timedelta
from typing import Annotated, Any

import typer

from cli.actors import OPERATOR
from cli.connecting import with_connection
from cli.output import JsonOption, print_record
from domain.async_jobs.callback_secrets import CallbackSecret
from domain.operating.async_jobs import change_secret, look_at_secret
from domain.services import fetch_service
from domain.settings import Settings

EPILOG = "Example: paid-endpoint services callback-secret reports --rotate --overlap-hours 24"


def callback_secret(
    slug: Annotated[str, typer.Argument(help="The service's slug.")],
    rotate: Annotated[bool, typer.Option("--rotate", help="Make a new one.")] = False,
    overlap_hours: Annotated[int, typer.Option(help="So long the former one is good too; at most 168.")] = 24,
    reason: Annotated[str, typer.Option(help="Why; it stands in the audit.")] = "on the command line",
    as_json: JsonOption = False,
) -> None:
    """Show the secret that signs callbacks of a service's jobs; it is made when it is first asked for."""

    async def work(connection: Any, settings: Settings) -> CallbackSecret:
        async with connection.transaction():
            service = await fetch_service(connection, slug)
            if not rotate:
                return await look_at_secret(connection, settings.secrets, OPERATOR, service, reason=reason)
            overlap = timedelta(hours=overlap_hours)
            return await change_secret(connection, settings.secrets, OPERATOR, service, overlap, reason=reason)

    found = with_connection(work)
    print_record({"service": found.slug, "secret": found.secret, "old_until": found.old_until}, as_json=as_json)
