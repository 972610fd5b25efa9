"""`paid-endpoint organizations`: the tenants."""

from typing import Annotated

import typer

from cli.caps import Day, Month, given_caps
from cli.connecting import with_connection
from cli.output import JsonOption, print_record, print_rows
from domain import organizations
from domain.spend_caps import set_organization_caps
from domain.subscriptions import change_plan

app = typer.Typer(no_args_is_help=True, help="Create, list, cap, suspend and restore organizations.")

Slug = Annotated[str, typer.Argument(help="The organization's slug.")]


@app.command(epilog="Example: paid-endpoint organizations create --name 'Acme Ltd' --plan free")
def create(
    name: Annotated[str, typer.Option(help="As the customer writes it.")],
    plan: Annotated[str, typer.Option(help="Slug of the plan that it subscribes to.")],
    slug: Annotated[str | None, typer.Option(help="Default: made of the name.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make an organization with an active subscription."""
    record = with_connection(
        lambda connection, _: organizations.create(connection, name=name, plan_slug=plan, slug=slug)
    )
    print_record(record, as_json=as_json)


@app.command("list", epilog="Example: paid-endpoint organizations list --json")
def list_(as_json: JsonOption = False) -> None:
    """List the organizations by slug."""
    records = with_connection(lambda connection, _: organizations.list_organizations(connection))
    print_rows(records, ("slug", "name", "plan_slug", "state", "id"), as_json=as_json)


@app.command(epilog="Example: paid-endpoint organizations show acme-ltd")
def show(slug: Slug, as_json: JsonOption = False) -> None:
    """Show one organization."""
    record = with_connection(lambda connection, _: organizations.fetch_organization(connection, slug))
    print_record(record, as_json=as_json)


@app.command(epilog="Example: paid-endpoint organizations suspend acme-ltd")
def suspend(slug: Slug, as_json: JsonOption = False) -> None:
    """Refuse an organization's keys until it is restored."""
    record = with_connection(lambda connection, _: organizations.suspend(connection, slug))
    print_record(record, as_json=as_json)


@app.command(epilog="Example: paid-endpoint organizations restore acme-ltd")
def restore(slug: Slug, as_json: JsonOption = False) -> None:
    """End a suspension."""
    record = with_connection(lambda connection, _: organizations.restore(connection, slug))
    print_record(record, as_json=as_json)


@app.command("set-cap", epilog="Example: paid-endpoint organizations set-cap acme-ltd --day 5.00 --month 100")
def set_cap(slug: Slug, day: Day = None, month: Month = None, as_json: JsonOption = False) -> None:
    """Cap the credits that an organization may spend; what is not given stays."""
    caps = given_caps(day, month)
    record = with_connection(lambda connection, _: set_organization_caps(connection, slug, caps))
    print_record(record, as_json=as_json)


@app.command("change-plan", epilog="Example: paid-endpoint organizations change-plan acme-ltd --plan pro")
def change_plan_(
    slug: Slug,
    plan: Annotated[str, typer.Option(help="Slug of the plan that applies from now on.")],
    as_json: JsonOption = False,
) -> None:
    """Put an organization's live subscription on another plan, at once."""

    async def work(connection: object, _: object) -> organizations.OrganizationRecord:
        found = await organizations.fetch_organization(connection, slug)
        await change_plan(connection, found.id, plan)
        return await organizations.fetch_organization(connection, found.id)

    print_record(with_connection(work), as_json=as_json)
