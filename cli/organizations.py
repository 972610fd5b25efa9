"""`paid-endpoint organizations`: the tenants."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli.actors import OPERATOR
from cli.caps import Day, Month, given_caps
from cli.changing import UNSAID, Trace, Why, changed, facts, organization_thing, with_change
from cli.connecting import with_connection
from cli.output import JsonOption, print_record, print_rows
from domain import limit_overrides, organizations
from domain.audit import Thing, Verb
from domain.operating.limits import end_override, override, set_caps
from domain.settings import Settings
from domain.sign_up import give_bonus
from domain.subscription_reading import fetch_record
from domain.subscriptions import change_plan
from schema.accounts import BillingMode

app = typer.Typer(no_args_is_help=True, help="Create, list, cap, suspend and restore organizations.")

Slug = Annotated[str, typer.Argument(help="The organization's slug.")]
Mode = Annotated[BillingMode | None, typer.Option(help="Requests cost credits, or units of the plan's quotas.")]
OVERRIDE_COLUMNS = ("limit_name", "amount", "shadow", "until", "reason")
LimitName = Annotated[str, typer.Argument(metavar="NAME", help="The limit's name (plans show).")]


@app.command(epilog="Example: paid-endpoint organizations create --name 'Acme Ltd' --plan free")
def create(
    name: Annotated[str, typer.Option(help="As the customer writes it.")],
    plan: Annotated[str, typer.Option(help="Slug of the plan that it subscribes to.")],
    slug: Annotated[str | None, typer.Option(help="Default: made of the name.")] = None,
    billing_mode: Mode = None,
    bonus: Annotated[bool, typer.Option("--bonus", help="Give it the sign-up bonus (CREDITS_SIGN_UP_BONUS).")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make an organization with an active subscription."""

    async def work(connection: Any, settings: Settings) -> tuple[organizations.OrganizationRecord, Trace]:
        made = await organizations.create(
            connection, name=name, plan_slug=plan, slug=slug, billing_mode=billing_mode or BillingMode.CREDITS
        )
        if bonus:
            await give_bonus(connection, made.id, settings.credits.sign_up_bonus_micro)
        after = facts(made) | {"bonus": bonus}
        return made, Trace(Verb.ORGANIZATION_CREATE, organization_thing(made), made.id, after=after)

    print_record(with_change(work), as_json=as_json)


@app.command(epilog="Example: paid-endpoint organizations change acme-ltd --billing-mode quota")
def change(
    slug: Slug,
    name: Annotated[str | None, typer.Option(help="As the customer writes it.")] = None,
    billing_mode: Mode = None,
    as_json: JsonOption = False,
) -> None:
    """Change what is given."""

    async def make(connection: Any) -> organizations.OrganizationRecord:
        return await organizations.change(connection, slug, name=name, billing_mode=billing_mode)

    print_record(_changed(slug, Verb.ORGANIZATION_CHANGE, make, UNSAID), as_json=as_json)


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
def suspend(slug: Slug, reason: Why = UNSAID, as_json: JsonOption = False) -> None:
    """Refuse an organization's keys until it is restored."""
    record = _changed(
        slug, Verb.ORGANIZATION_SUSPEND, lambda connection: organizations.suspend(connection, slug), reason
    )
    print_record(record, as_json=as_json)


@app.command(epilog="Example: paid-endpoint organizations restore acme-ltd")
def restore(slug: Slug, reason: Why = UNSAID, as_json: JsonOption = False) -> None:
    """End a suspension."""
    record = _changed(
        slug, Verb.ORGANIZATION_RESTORE, lambda connection: organizations.restore(connection, slug), reason
    )
    print_record(record, as_json=as_json)


@app.command("set-cap", epilog="Example: paid-endpoint organizations set-cap acme-ltd --day 5.00 --month 100")
def set_cap(
    slug: Slug, day: Day = None, month: Month = None, reason: Why = UNSAID, as_json: JsonOption = False
) -> None:
    """Cap the credits that an organization may spend; what is not given stays."""
    caps = given_caps(day, month)

    async def work(connection: Any, _: object) -> organizations.OrganizationRecord:
        async with connection.transaction():
            found = await organizations.fetch_organization(connection, slug)
            return await set_caps(connection, OPERATOR, found, caps, reason=reason)

    print_record(with_connection(work), as_json=as_json)


@app.command("change-plan", epilog="Example: paid-endpoint organizations change-plan acme-ltd --plan pro")
def change_plan_(
    slug: Slug,
    plan: Annotated[str, typer.Option(help="Slug of the plan that applies from now on.")],
    reason: Why = UNSAID,
    as_json: JsonOption = False,
) -> None:
    """Put an organization's live subscription on another plan, at once."""

    async def work(connection: Any, _: object) -> tuple[organizations.OrganizationRecord, Trace | None]:
        before = await organizations.fetch_organization(connection, slug)
        await change_plan(connection, before.id, plan)
        after = await organizations.fetch_organization(connection, before.id)
        thing = Thing("subscription", str((await fetch_record(connection, after.id)).id), plan)
        return after, changed(Verb.SUBSCRIPTION_CHANGE, thing, before, after, of=after.id, reason=reason)

    print_record(with_change(work), as_json=as_json)


@app.command(
    "override-limit",
    epilog="Example: paid-endpoint organizations override-limit acme-ltd hour --amount 5000 --until 2026-12-01"
    " --reason 'Launch week'",
)
def override_limit_(
    slug: Slug,
    name: LimitName,
    amount: Annotated[int | None, typer.Option(help="Instead of the plan's.")] = None,
    shadow: Annotated[bool | None, typer.Option("--shadow/--enforced", help="Only count, or refuse.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Ends by itself then, in UTC; default: never.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for people.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Give one organization another amount of one of its plan's limits, for good or until a moment."""
    moment = None if until is None else until.replace(tzinfo=UTC)

    async def work(connection: Any, _: object) -> limit_overrides.LimitOverrideRecord:
        async with connection.transaction():
            found = await organizations.fetch_organization(connection, slug)
            return await override(
                connection, OPERATOR, found, name, amount=amount, shadow=shadow, until=moment, reason=reason
            )

    print_record(with_connection(work), as_json=as_json)


@app.command("drop-override", epilog="Example: paid-endpoint organizations drop-override acme-ltd hour")
def drop_override_(slug: Slug, name: LimitName, as_json: JsonOption = False) -> None:
    """Let a limit be again as the plan says."""

    async def work(connection: Any, _: object) -> list[limit_overrides.LimitOverrideRecord]:
        async with connection.transaction():
            found = await organizations.fetch_organization(connection, slug)
            await end_override(connection, OPERATOR, found, name, reason=UNSAID)
            return await limit_overrides.list_overrides(connection, found.id)

    print_rows(with_connection(work), OVERRIDE_COLUMNS, as_json=as_json)


@app.command("list-overrides", epilog="Example: paid-endpoint organizations list-overrides acme-ltd --json")
def list_overrides_(slug: Slug, as_json: JsonOption = False) -> None:
    """List an organization's overrides of limits, those that have ended too."""

    async def work(connection: Any, _: object) -> list[limit_overrides.LimitOverrideRecord]:
        found = await organizations.fetch_organization(connection, slug)
        return await limit_overrides.list_overrides(connection, found.id)

    print_rows(with_connection(work), OVERRIDE_COLUMNS, as_json=as_json)


def _changed(
    slug: str, verb: Verb, make: Callable[[Any], Awaitable[organizations.OrganizationRecord]], reason: str
) -> organizations.OrganizationRecord:
    """Do it, with its entry in the audit."""

    async def work(connection: Any, _: object) -> tuple[organizations.OrganizationRecord, Trace | None]:
        before = await organizations.fetch_organization(connection, slug)
        after = await make(connection)
        return after, changed(verb, organization_thing(after), before, after, of=after.id, reason=reason)

    return with_change(work)
