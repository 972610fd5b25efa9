"""`paid-endpoint credits`: what organizations own, every movement of it, and the proof that it adds up."""

from typing import Annotated, Any
from uuid import UUID

import typer

from cli.actors import IN_LEDGER
from cli.changing import Trace, facts, organization_thing, with_change
from cli.connecting import with_connection
from cli.credit_rows import booked_row, entry_row, for_people, with_texts
from cli.durations import parse_duration
from cli.output import FAILED, JsonOption, as_data, note, print_json, print_record, print_rows
from domain.audit import Thing, Verb
from domain.credit_amounts import credits_text, parse_credits
from domain.credits.accounts import Balance, fetch_balance
from domain.credits.adjusting import adjust
from domain.credits.booking import Booked
from domain.credits.entries import LedgerEntry, fetch_entry
from domain.credits.expiring import expire_all
from domain.credits.granting import grant
from domain.credits.ledger_reading import LedgerPage, entry_behind, list_entries, requests_behind
from domain.credits.reconciling import Reconciliation, reconcile
from domain.credits.refunding import refund
from domain.credits.releasing import OpenHolder, list_holders, release_holder
from domain.faults import InvalidValue, NotFound
from domain.log_reading import LogEntry
from domain.log_store.store import open_logs
from domain.operating.credits import facts_of_entry
from domain.organizations import OrganizationRecord, fetch_organization
from domain.settings import Settings
from schema.credits import EntryType

app = typer.Typer(no_args_is_help=True, help="Grant, correct and refund credits; read and reconcile the ledger.")

Slug = Annotated[str, typer.Argument(metavar="ORG", help="The organization's slug.")]
Reason = Annotated[str, typer.Option(help="Why, in words for people; kept in the ledger.")]
Reference = Annotated[str, typer.Option(help="Number of a payment or invoice elsewhere.")]
Key = Annotated[str | None, typer.Option("--idempotency-key", help="The same key never moves credits twice.")]


@app.command("grant", epilog="Example: paid-endpoint credits grant acme 50 --type purchase --reason 'Invoice 17'")
def grant_(
    slug: Slug,
    amount: Annotated[str, typer.Argument(help="Credits: 5.00")],
    reason: Reason,
    kind: Annotated[EntryType, typer.Option("--type", help="purchase or bonus.")] = EntryType.BONUS,
    expires_in: Annotated[str | None, typer.Option(help="What remains after 30d is lost; default: never.")] = None,
    priority: Annotated[int | None, typer.Option(help="0 to 100, lowest burns first; bonus 10, purchase 50.")] = None,
    idempotency_key: Key = None,
    reference: Reference = "",
    as_json: JsonOption = False,
) -> None:
    """Give an organization credits."""
    span = parse_duration(expires_in) if expires_in else None
    if kind not in {EntryType.PURCHASE, EntryType.BONUS}:
        raise typer.BadParameter("Credits are granted as purchase or bonus.", param_hint="--type")

    async def work(connection: Any, _: object) -> tuple[Booked, Trace | None]:
        owner = await fetch_organization(connection, slug)
        booked = await grant(
            connection,
            owner.id,
            amount_micro=parse_credits(amount),
            reason=reason,
            type=kind,
            priority=priority,
            expires_in=span,
            actor=IN_LEDGER,
            reference=reference,
            idempotency_key=idempotency_key,
        )
        return booked, _told(Verb.CREDITS_GRANT, owner, booked)

    _print_booked(with_change(work), slug, as_json=as_json)


# A negative amount looks like an option.
@app.command(
    "adjust",
    context_settings={"ignore_unknown_options": True},
    epilog="Example: paid-endpoint credits adjust acme -2.50 --reason 'Granted twice on Monday'",
)
def adjust_(
    slug: Slug,
    amount: Annotated[str, typer.Argument(help="Credits to add, or with a minus to take: -2.50")],
    reason: Reason,
    idempotency_key: Key = None,
    reference: Reference = "",
    as_json: JsonOption = False,
) -> None:
    """Correct a balance, up or down; down at most by what is available."""

    async def work(connection: Any, _: object) -> tuple[Booked, Trace | None]:
        owner = await fetch_organization(connection, slug)
        booked = await adjust(
            connection,
            owner.id,
            amount_micro=_signed(amount),
            reason=reason,
            actor=IN_LEDGER,
            reference=reference,
            idempotency_key=idempotency_key,
        )
        return booked, _told(Verb.CREDITS_ADJUST, owner, booked)

    _print_booked(with_change(work), slug, as_json=as_json)


@app.command(
    "refund",
    epilog="Example: paid-endpoint credits refund 0199d3a0-7c1e-4b3a-8f64-0e2b1c9d4a55 --reason 'Broken answers'",
)
def refund_(
    entry_id: Annotated[UUID, typer.Argument(help="The purchase or usage entry (credits ledger shows its id).")],
    reason: Reason,
    amount: Annotated[str | None, typer.Argument(help="Credits; default: all that can be given back.")] = None,
    idempotency_key: Key = None,
    reference: Reference = "",
    as_json: JsonOption = False,
) -> None:
    """Give back usage, or take back a purchase as far as it is not spent."""

    async def work(connection: Any, _: object) -> tuple[tuple[Booked, str], Trace | None]:
        booked = await refund(
            connection,
            entry_id,
            amount_micro=None if amount is None else parse_credits(amount),
            reason=reason,
            actor=IN_LEDGER,
            reference=reference,
            idempotency_key=idempotency_key,
        )
        owner = await fetch_organization(connection, booked.entry.organization_id)
        return (booked, owner.slug), _told(Verb.CREDITS_REFUND, owner, booked)

    _print_booked(*with_change(work), as_json=as_json)


@app.command(epilog="Example: paid-endpoint credits balance acme --json")
def balance(slug: Slug, as_json: JsonOption = False) -> None:
    """Show what an organization owns, what is held of it, and what it can spend."""

    async def work(connection: Any, _: object) -> Balance:
        return await fetch_balance(connection, (await fetch_organization(connection, slug)).id)

    found = {"organization": slug} | with_texts(with_connection(work))
    shown = {name: value for name, value in found.items() if not name.endswith("_micro")}
    print_record(found if as_json else shown, as_json=as_json)


@app.command(epilog="Example: paid-endpoint credits ledger acme --type usage --limit 20")
def ledger(
    slug: Slug,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest.")] = 50,
    before: Annotated[int | None, typer.Option(metavar="CURSOR", help="Only entries before this number.")] = None,
    kind: Annotated[EntryType | None, typer.Option("--type", help="Only entries of this type.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List an organization's entries, newest first."""

    async def work(connection: Any, _: object) -> LedgerPage:
        owner = await fetch_organization(connection, slug)
        return await list_entries(connection, owner.id, limit=limit, before=before, type=kind)

    page = with_connection(work)
    rows = [entry_row(entry, slug) for entry in page.entries]
    columns = ("number", "created_at", "type", "amount", "balance_after", "requests", "reason", "actor", "id")
    print_rows(rows, columns, as_json=as_json)
    if page.older is not None and not as_json:
        note(f"Older entries: --before {page.older}")


@app.command(epilog="Example: paid-endpoint credits trace 0199d3a0-7c1e-4b3a-8f64-0e2b1c9d4a55")
def trace(
    which: Annotated[UUID, typer.Argument(metavar="ID", help="A ledger entry, or what X-Request-Id said.")],
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many requests, the newest.")] = 1_000,
    as_json: JsonOption = False,
) -> None:
    """Show an entry with the requests that it charged; or of a request, the entry that it is part of."""

    async def work(connection: Any, settings: Settings) -> tuple[LedgerEntry, list[LogEntry], str]:
        async with open_logs(settings) as logs:
            try:
                entry = await fetch_entry(connection, which)
            except NotFound:
                entry = await entry_behind(connection, which, logs)
            requests = await requests_behind(connection, entry.id, logs, limit=limit)
        return entry, requests, (await fetch_organization(connection, entry.organization_id)).slug

    entry, requests, slug = with_connection(work)
    row, behind = entry_row(entry, slug), [with_texts(request) for request in requests]
    if as_json:
        print_json(row | {"charged": behind})
        return
    print_record(for_people(row), as_json=False)
    if behind:
        print_rows(behind, ("at", "id", "method", "path", "status", "outcome", "cost"), as_json=False)


@app.command("reconcile", epilog="Example: paid-endpoint credits reconcile --json")
def reconcile_(as_json: JsonOption = False) -> None:
    """Prove for every account that it adds up; exit status 1 if it does not, with everything that drifted."""

    async def work(connection: Any, settings: Settings) -> Reconciliation:
        async with open_logs(settings) as logs:
            return await reconcile(connection, logs)

    found = with_connection(work)
    data = as_data(found)
    drifts = data.pop("drifts")
    if as_json:
        print_json(data | {"adds_up": not drifts, "drifts": drifts})
    else:
        print_record(data | {"adds_up": not drifts}, as_json=False)
        if drifts:
            print_rows(drifts, ("organization", "what", "expected", "found"), as_json=False)
    if drifts:
        raise typer.Exit(FAILED)


@app.command(epilog="Example: paid-endpoint credits expire")
def expire(as_json: JsonOption = False) -> None:
    """Take what remains of the grants that are due, now, of every organization."""

    async def work(connection: Any, _: object) -> list[int]:
        amounts: list[int] = []
        while posted := await expire_all(connection):
            amounts += [entry.amount_micro for entry in posted]
        return amounts

    amounts = with_connection(work)
    if as_json:
        print_json({"entries": len(amounts), "amount_micro": sum(amounts), "amount": credits_text(sum(amounts))})
    else:
        typer.echo(f"Expired: {credits_text(sum(amounts))} credits of {len(amounts)} grants.")


@app.command(epilog="Example: paid-endpoint credits holders --json")
def holders(as_json: JsonOption = False) -> None:
    """Gateway workers that may hold credits: one for each journal that has not ended."""
    found = with_connection(lambda connection, _: list_holders(connection))
    columns = ("id", "created_at", "renewed_at", "leased_micro", "reserved_micro")
    print_rows([as_data(holder) for holder in found], columns, as_json=as_json)


@app.command(epilog="Example: paid-endpoint credits release 0b5c0e0c-7d0a-4b52-9b5e-6e2f3c1d8a90")
def release(
    holder_id: Annotated[UUID, typer.Argument(help="Id of a worker's journal, from `credits holders`.")],
    as_json: JsonOption = False,
) -> None:
    """Give back what a worker holds whose node and journal are lost for ever. One that lives serves nothing priced any more."""

    async def work(connection: Any, _: object) -> tuple[OpenHolder, Trace]:
        held = await release_holder(connection, holder_id)
        return held, Trace(
            Verb.CREDITS_RELEASE, Thing("credit_holder", str(holder_id), str(holder_id)), before=facts(held)
        )

    print_record(as_data(with_change(work)), as_json=as_json)


def _print_booked(booked: Booked, slug: str, *, as_json: bool) -> None:
    row = booked_row(booked, slug)
    print_record(row if as_json else for_people(row), as_json=as_json)
    if booked.replayed and not as_json:
        note("This idempotency key was used before for the same change: nothing moved now.")


def _told(verb: Verb, owner: OrganizationRecord, booked: Booked) -> Trace | None:
    """The entry of the audit; None where nothing moved."""
    entry = booked.entry
    if booked.replayed:
        return None
    before, after = facts_of_entry(entry, {"credits": credits_text(entry.amount_micro), "type": entry.type})
    return Trace(verb, organization_thing(owner), owner.id, before, after, entry.reason)


def _signed(text: str) -> int:
    """Micro-credits of `5`, `+5` or `-5`. Raises InvalidValue."""
    micro = parse_credits(text[1:] if text.startswith(("+", "-")) else text)
    if micro == 0:
        raise InvalidValue("An adjustment of 0 credits changes nothing.")
    return -micro if text.startswith("-") else micro
