"""`paid-endpoint apply`: make the database what a file says, or say what would change."""

import sys
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from cli.actors import OPERATOR
from cli.connecting import with_connection
from cli.differences import caught, print_result
from cli.output import USAGE, JsonOption, fail, print_rows
from domain.as_code.applying import Outcome, apply, roll_back
from domain.as_code.appointing import Appointing
from domain.as_code.history import list_applied
from domain.as_code.mistakes import Mistaken
from domain.as_code.yaml_reading import LARGEST_FILE
from domain.settings import Settings

app = typer.Typer()

File = Annotated[str | None, typer.Argument(help="What `export` wrote; - reads standard input.", show_default=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]
Prune = Annotated[
    bool,
    typer.Option(
        "--prune",
        help="Disable what the file does not name, and dismiss operators if it names any. Nothing is ever deleted.",
    ),
]
AtOnce = Annotated[
    bool, typer.Option("--at-once", help="For everybody at once, also for those who keep older terms of a plan.")
]


@app.command(epilog="Example: paid-endpoint apply business.yaml --dry-run")
def apply_(
    file: File = None,
    dry_run: DryRun = False,
    prune: Prune = False,
    at_once: AtOnce = False,
    invite: Annotated[
        bool, typer.Option("--invite", help="Make accounts for operators who have none, and mail them.")
    ] = False,
    history: Annotated[bool, typer.Option("--history", help="List what was applied, newest first.")] = False,
    rollback: Annotated[UUID | None, typer.Option(help="Apply a file of the history again, by its id.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the audit.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Make plans, services, operations and operators what a file says, all or nothing; a second time changes nothing.

    Who is subscribed keeps the former terms until the period ends, unless you say --at-once. Exit status 2: the file
    has mistakes, each with its line and column, and nothing was changed.
    """
    if sum((file is not None, history, rollback is not None)) != 1:
        fail("Give one of: a FILE, --history, --rollback ID.", USAGE)
    if history:
        _print_history(as_json=as_json)
        return
    options: dict[str, Any] = {"dry_run": dry_run, "prune": prune, "at_once": at_once, "reason": reason}
    shown = str(rollback) if file is None else "standard input" if file == "-" else file
    print_result(_outcome(file, rollback, options, invite=invite), shown, dry_run=dry_run, as_json=as_json)


def _outcome(file: str | None, rollback: UUID | None, options: dict[str, Any], *, invite: bool) -> Outcome | Mistaken:
    text = "" if rollback is not None else read_text(file or "-", LARGEST_FILE)

    async def work(connection: Any, settings: Settings) -> Outcome | Mistaken:
        appointing = Appointing(settings, invite=invite)
        if rollback is not None:
            return await caught(roll_back(connection, rollback, OPERATOR, appointing=appointing, **options))
        return await caught(apply(connection, text, OPERATOR, appointing=appointing, **options))

    return with_connection(work)


def read_text(file: str, largest: int) -> str:
    """A text file, or standard input for `-`. Ends the command where there is none, or one that is too large."""
    try:
        if file == "-":
            data = sys.stdin.buffer.read(largest + 1)
        else:
            with Path(file).open("rb") as opened:
                data = opened.read(largest + 1)
        if len(data) > largest:
            fail(f"{file} is larger than {largest} bytes.", USAGE)
        return data.decode("utf-8-sig")
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror or error}.", USAGE)
    except UnicodeDecodeError as error:
        fail(f"{file} is not UTF-8: byte {error.start}.", USAGE)


def _print_history(*, as_json: bool) -> None:
    records = with_connection(lambda connection, _: list_applied(connection))
    rows = [
        {
            "id": each.id,
            "created_at": each.created_at,
            "kind": each.summary.get("kind"),
            "changes": each.summary.get("changes"),
            "actor_name": each.actor_name,
            "sha256": each.sha256,
        }
        for each in records
    ]
    print_rows(rows, tuple(rows[0]) if rows else (), as_json=as_json)
