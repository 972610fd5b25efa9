"""`paid-endpoint services callback-secret` and `rotate-callback-secret`: what an upstream signs its callbacks with."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from cli.connecting import with_connection
from cli.differences import OPERATOR
from cli.output import JsonOption, print_record
from domain.async_jobs.callback_secrets import CallbackSecret
from domain.operating.async_jobs import change_secret, look_at_secret
from domain.services import fetch_service
from domain.settings import Settings

Slug = Annotated[str, typer.Argument(help="The service's slug.")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the audit.")]
_BY_HAND = "on the command line"


@dataclass(frozen=True, slots=True, repr=False)
class Printed:
    """What is printed of a secret."""

    service: str
    secret: str
    former_good_until: datetime | None


def show(slug: Slug, reason: Reason = _BY_HAND, as_json: JsonOption = False) -> None:
    """Print what a service signs its callbacks with; it is made if there is none."""

    async def work(connection: Any, settings: Settings) -> CallbackSecret:
        async with connection.transaction():
            service = await fetch_service(connection, slug)
            return await look_at_secret(connection, settings.secrets, OPERATOR, service, reason=reason)

    _print(with_connection(work), as_json=as_json)


def rotate(
    slug: Slug,
    overlap_hours: Annotated[int, typer.Option(min=0, max=168, help="The one before is good for so long.")] = 24,
    reason: Reason = _BY_HAND,
    as_json: JsonOption = False,
) -> None:
    """Make a new callback secret for a service, and print it; the one before is good for some hours."""

    async def work(connection: Any, settings: Settings) -> CallbackSecret:
        async with connection.transaction():
            service, overlap = await fetch_service(connection, slug), timedelta(hours=overlap_hours)
            return await change_secret(connection, settings.secrets, OPERATOR, service, overlap, reason=reason)

    _print(with_connection(work), as_json=as_json)


def _print(found: CallbackSecret, *, as_json: bool) -> None:
    print_record(Printed(found.slug, found.secret, found.old_until), as_json=as_json)
