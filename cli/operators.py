"""`paid-endpoint operators`: who may use the back office. The first operator of an installation is made here."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cli.actors import OPERATOR
from cli.connecting import with_connection
from cli.output import JsonOption, print_record, print_rows
from domain.faults import NotFound
from domain.operating.operators import create_operator, list_operators, set_operator_role
from domain.operating.people import find_person
from domain.operators import OperatorRole
from domain.settings import Settings

app = typer.Typer(no_args_is_help=True, help="List, appoint and dismiss operators of the back office.")

Email = Annotated[str, typer.Argument(help="The address that they sign in with.")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the audit.")]
COLUMNS = ("email", "role", "active", "has_factor", "last_login", "sessions")


@dataclass(frozen=True, slots=True, repr=False)
class Appointed:
    """What was done. `set_password_link` is shown only here: whoever opens it first chooses the password."""

    email: str
    role: str | None
    set_password_link: str | None = None


@app.command("list", epilog="Example: paid-endpoint operators list --json")
def list_(as_json: JsonOption = False) -> None:
    """List the operators, the mightiest first."""
    print_rows(with_connection(lambda connection, _: list_operators(connection)), COLUMNS, as_json=as_json)


@app.command(epilog="Example: paid-endpoint operators appoint ada@example.com --role superuser --create")
def appoint(
    email: Email,
    role: Annotated[OperatorRole, typer.Option(help="What they may do.")],
    create: Annotated[
        bool, typer.Option("--create", help="Make the user if there is none, and print a link that sets a password.")
    ] = False,
    reason: Reason = "on the command line",
    as_json: JsonOption = False,
) -> None:
    """Give somebody a role in the back office, or another one. Their sessions there end."""

    async def work(connection: Any, settings: Settings) -> Appointed:
        async with connection.transaction():
            if not create and await find_person(connection, email) is None:
                raise NotFound(f"There is no user {email}. Make one with --create.")
            link = await create_operator(connection, settings, OPERATOR, email=email, role=role, reason=reason)
            return Appointed(email.strip().lower(), role.value, link)

    print_record(with_connection(work), as_json=as_json)


@app.command(epilog="Example: paid-endpoint operators dismiss ada@example.com --reason 'left the company'")
def dismiss(email: Email, reason: Reason = "on the command line", as_json: JsonOption = False) -> None:
    """Take the role from somebody. Never from the last superuser."""

    async def work(connection: Any, settings: Settings) -> Appointed:
        async with connection.transaction():
            person = await set_operator_role(connection, settings, OPERATOR, email=email, role=None, reason=reason)
            return Appointed(person.email, None)

    print_record(with_connection(work), as_json=as_json)
