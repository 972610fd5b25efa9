"""`paid-endpoint audit`: who did what, and whether the record of it is what was written."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer

from cli.connecting import with_connection
from cli.durations import parse_duration
from cli.output import FAILED, JsonOption, as_data, note, print_json, print_record, print_rows
from cli.progress import Progress
from domain.audit_chain.sealing import seal
from domain.audit_chain.verifying import Verification, verify
from domain.audit_search import MOST, AuditEvent, AuditSearch, search_audit
from domain.organizations import fetch_organization

app = typer.Typer(no_args_is_help=True, help="List, seal and verify the audit: who did what.")

SEALED_AT_ONCE = 20_000
_COLUMNS = ("created_at", "organization", "sentence", "address", "reason", "position", "id")
NoSeal = Annotated[
    bool, typer.Option("--no-seal", help="Do not seal what waits first; for a database that is only read.")
]


@app.command("list", epilog="Example: paid-endpoint audit list --organization acme --verb key --since 30d")
def list_(
    organization: Annotated[
        str | None, typer.Option(help="Only of this organization (slug); - for those of none.")
    ] = None,
    actor: Annotated[str | None, typer.Option(help="Only by this user (id or e-mail address) or program.")] = None,
    thing: Annotated[str | None, typer.Option("--object", metavar="TYPE:ID", help="Only about this thing.")] = None,
    verb: Annotated[str | None, typer.Option(help="Only this verb, key.revoke, or all of a noun, key.")] = None,
    request_id: Annotated[str | None, typer.Option(help="Only what this request did.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only of the last 5m, 2h or 30d, or from a day on: 2026-11-27.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many, the newest.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """List entries of all organizations and of none, newest first, with their place in the chain once they are sealed."""
    kind, colon, key = (thing or "").partition(":")
    if thing is not None and not (kind and colon and key):
        raise typer.BadParameter("A thing is written TYPE:ID, such as api_key:0199d3a0-7c1e-7b3a-8f64-0e2b1c9d4a55.")
    begin = _moment(since)

    async def work(connection: Any, _: object) -> list[AuditEvent]:
        unowned = organization == "-"
        owner = await fetch_organization(connection, organization) if organization and not unowned else None
        wanted = AuditSearch(
            organization_id=owner.id if owner else None,
            unowned=unowned,
            actor_id=int(actor) if actor and actor.isascii() and actor.isdigit() else None,
            actor_name=actor if actor and not (actor.isascii() and actor.isdigit()) else None,
            verb=verb,
            object_type=kind or None,
            object_id=key or None,
            request_id=request_id,
            since=begin,
        )
        return await _all(connection, wanted, limit)

    events = with_connection(work)
    rows = [as_data(event) | {"sentence": event.sentence} for event in events]
    print_rows(rows if as_json else map(_for_people, rows), _COLUMNS, as_json=as_json)


@app.command("seal", epilog="Example: paid-endpoint audit seal")
def seal_(as_json: JsonOption = False) -> None:
    """Link to the chain what was written since the last time. Safe to repeat, to kill, and to run twice at once."""
    linked = with_connection(lambda connection, _: _seal_all(connection))
    if as_json:
        print_json({"sealed": linked})
    else:
        typer.echo(f"Sealed: {linked:,} entries.")


@app.command("verify", epilog="Example: paid-endpoint audit verify --expect $(cat /mnt/elsewhere/audit-head)")
def verify_(
    since: Annotated[str | None, typer.Option(metavar="DAY", help="From this day of the chain on: 2026-11-27.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DAY", help="Up to this day of the chain.")] = None,
    expect: Annotated[
        str | None, typer.Option(metavar="HEAD", help="A head that was noted before: it must still hold.")
    ] = None,
    no_seal: NoSeal = False,
    as_json: JsonOption = False,
) -> None:
    """Check every entry against the chain. Exit status 1 and the first wrong row if anything was changed, and when it can't be told."""
    head, progress = _head(expect), Progress("entries verified")
    first, last = _day(since), _day(until)

    async def work(connection: Any, _: object) -> Verification:
        if not no_seal:
            await _seal_all(connection)
        return await verify(connection, since=first, until=last, expect=head, told=progress)

    found = with_connection(work)
    progress.end()
    _report(found, as_json=as_json)
    if not found.sound:
        raise typer.Exit(FAILED)


async def _all(connection: Any, wanted: AuditSearch, limit: int) -> list[AuditEvent]:
    """A command has the time that a page has not: it goes on where a search ran out of it."""
    events: list[AuditEvent] = []
    place, progress = None, Progress("entries found")
    while len(events) < limit:
        found = await search_audit(connection, wanted, after=place, limit=min(limit - len(events), MOST), seconds=1.0)
        events += found.events
        progress(len(events))
        place = found.following
        if place is None:
            break
    progress.end()
    return events


async def _seal_all(connection: Any) -> int:
    linked, progress = 0, Progress("entries sealed")
    while new := await seal(connection, most=SEALED_AT_ONCE):
        linked += new
        progress(linked)
    progress.end()
    return linked


def _report(found: Verification, *, as_json: bool) -> None:
    data = as_data(found)
    if as_json:
        print_json({"sound": found.sound} | data)
        return
    breach = data.pop("breach")
    print_record({"sound": found.sound} | data, as_json=False)
    if breach:
        note(f"Tampered: {_printable(breach['sentence'])}")
    elif found.last_position:
        note("Keep the head where nobody who can write this database can: verify --expect HEAD proves it later.")


def _for_people(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _printable(value) if isinstance(value, str) else value for name, value in row.items()}


def _printable(text: str) -> str:
    """Names are written by customers: none may steer the terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _head(text: str | None) -> bytes | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text.strip()):
        raise typer.BadParameter("A head is 64 hexadecimal digits, as `audit verify` prints it.")
    return bytes.fromhex(text.strip())


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no day: write 2026-11-27.") from None


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        day = _day(text)
        return datetime.combine(day, datetime.min.time(), UTC) if day else None
    return datetime.now(UTC) - parse_duration(text)
