"""`paid-endpoint users`: what is done to a person's account on an operator's word."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cli.actors import OPERATOR
from cli.connecting import with_connection
from cli.output import JsonOption, note, print_record
from domain.operating.erasing import erase_person
from domain.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Erase a person who wants to be forgotten.")


@dataclass(frozen=True, slots=True)
class Erased:
    """What was done, or would be. Organizations by name."""

    email: str
    dry_run: bool
    closed: list[str]
    left: list[str]
    handed_over: list[str]


@app.callback()
def _group() -> None:
    """Erase a person who wants to be forgotten."""


@app.command(epilog="Example: paid-endpoint users erase ada@example.com --reason 'ticket 4711' --dry-run")
def erase(
    email: Annotated[str, typer.Argument(help="The address that they sign in with.")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the audit.")],
    successor: Annotated[
        str, typer.Option(help="A member who becomes the owner where the person is the only one among others.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Erase somebody at once and for good: account, sessions, tokens, memberships. The audit and the ledger stay."""

    async def work(connection: Any, settings: Settings) -> Erased:
        transaction = connection.transaction()
        await transaction.start()
        try:
            found = await erase_person(connection, settings, OPERATOR, email=email, reason=reason, successor=successor)
        except BaseException:
            await transaction.rollback()
            raise
        await (transaction.rollback() if dry_run else transaction.commit())
        return Erased(found.person.email, dry_run, found.closes, found.leaves, found.hands_over)

    print_record(with_connection(work), as_json=as_json)
    if dry_run:
        note("Nothing was changed.")
