"""`paid-endpoint alerts`: what stands, as the page of the back office shows it."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from cli.connecting import with_connection
from cli.output import JsonOption, print_rows
from domain.alerts.measures import CUSTOMERS, OPERATORS
from domain.alerts.reading import AlertRecord, ended_alerts, open_alerts
from domain.organizations import fetch_organization
from domain.settings import Settings

app = typer.Typer(no_args_is_help=True, help="List the alerts that stand, for operators and of customers.")

COLUMNS = (
    "kind", "organization", "name", "level", "raised_level", "value", "threshold", "since", "period_ends",
    "snoozed_until",
)  # fmt: skip


class Whom(StrEnum):
    """Who is told."""

    OPERATORS = "operators"
    CUSTOMERS = "customers"


@app.callback()
def _root() -> None:
    """List the alerts that stand, for operators and of customers."""


@app.command("list", epilog="Example: paid-endpoint alerts list --of operators --json")
def list_(
    of: Annotated[Whom | None, typer.Option(help="Only those that operators, or customers, are told of.")] = None,
    organization: Annotated[str | None, typer.Option(help="Only of this organization (slug).")] = None,
    ended: Annotated[bool, typer.Option("--ended", help="Instead, those that ended within a day.")] = False,
    most: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest.")] = 200,
    as_json: JsonOption = False,
) -> None:
    """List alerts, newest first. Amounts are requests, units or micro-credits; of error rates failures and requests."""
    kinds = {Whom.OPERATORS: OPERATORS, Whom.CUSTOMERS: CUSTOMERS, None: (*OPERATORS, *CUSTOMERS)}[of]

    async def work(connection: Any, _: Settings) -> list[AlertRecord]:
        now = datetime.now(UTC)
        whose = (await fetch_organization(connection, organization)).id if organization else None
        if ended:
            return await ended_alerts(connection, now, kinds, organization_id=whose, most=most)
        return await open_alerts(connection, now, organization_id=whose, kinds=kinds, most=most)

    print_rows(with_connection(work), COLUMNS, as_json=as_json)
