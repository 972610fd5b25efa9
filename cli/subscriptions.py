"""`paid-endpoint subscriptions`: who is on which plan, until when, and what comes next."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated, Any
from uuid import UUID

import typer

from cli.changing import UNSAID, Trace, Why, changed, facts, with_change
from cli.connecting import settings_or_fail, with_connection
from cli.durations import parse_duration
from cli.output import JsonOption, note, print_record, print_rows
from domain import subscriptions, trials
from domain.audit import Thing, Verb
from domain.faults import InvalidValue, NotFound
from domain.organizations import fetch_organization
from domain.renewals import roll, settle_due
from domain.subscription_reading import (
    SubscriptionRecord,
    fetch_entitlements,
    fetch_record,
    list_subscriptions,
)

app = typer.Typer(no_args_is_help=True, help="Show, begin, change, cancel and renew subscriptions.")

Slug = Annotated[str, typer.Argument(metavar="ORG", help="The organization's slug.")]
Plan = Annotated[str, typer.Option(help="Slug of the plan.")]
COLUMNS = ("organization", "plan", "state", "period_end", "trial_ends_at", "cancel_at", "next_plan", "plan_version")


@app.command("list", epilog="Example: paid-endpoint subscriptions list --plan pro --json")
def list_(
    plan: Annotated[str | None, typer.Option(help="Only of this plan.")] = None,
    ended: Annotated[bool, typer.Option("--ended", help="Those that have ended, too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List live subscriptions by organization."""
    records = with_connection(lambda connection, _: list_subscriptions(connection, plan_slug=plan, ended=ended))
    print_rows(records, COLUMNS, as_json=as_json)


@app.command(epilog="Example: paid-endpoint subscriptions show acme-ltd")
def show(slug: Slug, as_json: JsonOption = False) -> None:
    """Show an organization's subscription, and what it entitles to at this moment."""

    async def work(connection: Any, _: object) -> dict[str, Any]:
        found = await fetch_organization(connection, slug)
        record = await fetch_record(connection, found.id)
        held = await fetch_entitlements(connection, found.id)
        assert held is not None
        return {
            **{name: getattr(record, name) for name in SubscriptionRecord.__dataclass_fields__},
            "access": held.access,
            "standing": held.state,
            "why": held.why,
            "access_until": held.until,
            "next_change": None if held.next_change is None else held.next_change[1],
            "next_change_at": None if held.next_change is None else held.next_change[0],
            "billing_mode": held.billing_mode,
            "overage": held.overage,
            "limits": [
                {"name": limit.name, "amount": limit.amount, "period": limit.period, "unit": limit.unit}
                for limit in held.limits
            ],
        }

    print_record(with_connection(work), as_json=as_json)


@app.command(
    "start-trial",
    epilog="Example: paid-endpoint subscriptions start-trial acme-ltd --plan pro --email ada@acme.example",
)
def start_trial_(
    slug: Slug,
    plan: Plan,
    email: Annotated[
        str | None, typer.Option(help="An address that you know to be verified; default: that of an owner.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Begin a trial: once for an organization, and once for an e-mail address."""

    async def move(connection: Any, organization_id: UUID) -> None:
        address = email or await trials.verified_email(connection, organization_id)
        if address is None:
            raise InvalidValue("Nobody of this organization has a verified address: give one with --email.")
        await trials.start_trial(connection, organization_id, plan, email=address, secrets=settings_or_fail().secrets)

    _moved(slug, Verb.SUBSCRIPTION_CHANGE, move, as_json=as_json)


@app.command(epilog="Example: paid-endpoint subscriptions change acme-ltd --plan free --at-period-end")
def change(
    slug: Slug,
    plan: Plan,
    at_once: Annotated[
        bool | None,
        typer.Option("--at-once/--at-period-end", help="Default: a higher plan at once, a lower one then."),
    ] = None,
    reason: Why = UNSAID,
    as_json: JsonOption = False,
) -> None:
    """Put an organization on another plan."""
    at = {None: "rank", True: "once", False: "period-end"}[at_once]

    async def move(connection: Any, organization_id: UUID) -> None:
        await subscriptions.change_plan(connection, organization_id, plan, at=at)

    _moved(slug, Verb.SUBSCRIPTION_CHANGE, move, reason=reason, as_json=as_json)


@app.command(epilog="Example: paid-endpoint subscriptions cancel acme-ltd")
def cancel(
    slug: Slug,
    at_once: Annotated[bool, typer.Option("--now", help="Not at the period's end: at once.")] = False,
    reason: Why = UNSAID,
    as_json: JsonOption = False,
) -> None:
    """End a subscription with the period that is paid, or at once."""

    async def move(connection: Any, organization_id: UUID) -> None:
        await subscriptions.cancel(connection, organization_id, at_once=at_once)

    _moved(slug, Verb.SUBSCRIPTION_CANCEL, move, reason=reason, as_json=as_json)


@app.command(epilog="Example: paid-endpoint subscriptions reactivate acme-ltd")
def reactivate(slug: Slug, reason: Why = UNSAID, as_json: JsonOption = False) -> None:
    """Take a cancellation back, note that an unpaid period is paid, or begin an ended subscription anew."""
    _moved(slug, Verb.SUBSCRIPTION_RESUME, subscriptions.reactivate, reason=reason, as_json=as_json)


@app.command("extend-trial", epilog="Example: paid-endpoint subscriptions extend-trial acme-ltd --by 7d")
def extend_trial_(
    slug: Slug,
    by: Annotated[str, typer.Option(help="How much longer: 7d, 2w, 12h.")],
    reason: Why = UNSAID,
    as_json: JsonOption = False,
) -> None:
    """Let a trial that runs end later."""
    span = parse_duration(by)

    async def move(connection: Any, organization_id: UUID) -> None:
        await trials.extend_trial(connection, organization_id, span)

    _moved(slug, Verb.SUBSCRIPTION_EXTEND, move, reason=reason, as_json=as_json)


@app.command("roll", epilog="Example: paid-endpoint subscriptions roll acme-ltd")
def roll_(slug: Slug, as_json: JsonOption = False) -> None:
    """Begin the period that is due, or end what has run out, of one organization."""
    _moved(slug, Verb.SUBSCRIPTION_CHANGE, roll, as_json=as_json)


@app.command(epilog="Example: paid-endpoint subscriptions sweep --json")
def sweep(
    most: Annotated[int, typer.Option(min=1, max=100_000, help="Subscriptions at the most.")] = 1_000,
    as_json: JsonOption = False,
) -> None:
    """Make every transition that is due, of all organizations; run it as often as you like, several at once too."""

    async def work(connection: Any, _: object) -> list[dict[str, Any]]:
        made = await settle_due(connection, most=most)
        slugs = dict(
            await connection.fetch(
                "select id, slug from organization where id = any($1)", [m.organization_id for m in made]
            )
        )
        return [
            {
                "organization": slugs[one.organization_id],
                "before": one.before.state,
                "after": one.after.state,
                "period_end": one.after.period_end,
            }
            for one in made
        ]

    made = with_connection(work)
    print_rows(made, ("organization", "before", "after", "period_end"), as_json=as_json)
    if len(made) == most:
        note(f"{most} were made; there may be more: run it again.")


def _moved(
    slug: str, verb: Verb, move: Callable[[Any, UUID], Awaitable[object]], *, reason: str = UNSAID, as_json: bool
) -> None:
    """Do it, with its entry in the audit, then print the subscription as it is."""

    async def work(connection: Any, _: object) -> tuple[SubscriptionRecord, Trace | None]:
        found = await fetch_organization(connection, slug)
        before: SubscriptionRecord | None = None
        with suppress(NotFound):
            before = await fetch_record(connection, found.id)
        await move(connection, found.id)
        after = await fetch_record(connection, found.id)
        thing = Thing("subscription", str(after.id), after.plan)
        if before is None:
            return after, Trace(verb, thing, found.id, after=facts(after), reason=reason)
        return after, changed(verb, thing, before, after, of=found.id, reason=reason)

    print_record(with_change(work), as_json=as_json)
