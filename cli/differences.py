"""How commands show what a file changes, and what is wrong in it."""

from collections.abc import Awaitable

import typer

from cli.output import USAGE, note, print_json
from domain.as_code.applying import Outcome
from domain.as_code.differences import Change, FieldChange
from domain.as_code.mistakes import Mistaken

MOST_LEFT_ALONE = 10
MOST_MISTAKES = 100
"""Shown to people; `--json` has all."""


async def caught(work: Awaitable[Outcome]) -> Outcome | Mistaken:
    """The outcome, or what is wrong in the file."""
    try:
        return await work
    except Mistaken as fault:
        return fault


def print_result(found: Outcome | Mistaken, shown: str, *, dry_run: bool, as_json: bool) -> None:
    """What differs; or every mistake as FILE:LINE:COLUMN: sentence, and exit status 2."""
    if not isinstance(found, Mistaken):
        print_outcome(found, dry_run=dry_run, as_json=as_json)
        return
    if as_json:
        rows = [{"line": each.place.line, "column": each.place.column, "text": each.text} for each in found.mistakes]
        print_json({"errors": rows})
    for each in found.mistakes[:MOST_MISTAKES]:
        note(visible(f"{shown}:{each}"))
    count = len(found.mistakes)
    note(f"{count} mistake{'' if count == 1 else 's'}; nothing was changed.")
    raise typer.Exit(USAGE)


def print_outcome(outcome: Outcome, *, dry_run: bool, as_json: bool, source: str = "the file") -> None:
    """The differences, and what became of them."""
    if outcome.changed_meanwhile:
        note("Note: the database has changed since this file was exported; some differences may be others' changes.")
    if as_json:
        print_json({"dry_run": dry_run, "applied_id": outcome.applied_id, "differences": outcome.differences})
        return
    for change in outcome.differences.changes:
        _print_change(change)
    counts = {
        how: sum(each.how == how for each in outcome.differences.changes) for how in ("created", "changed", "disabled")
    }
    left = outcome.differences.left_alone
    if left:
        names = ", ".join(" ".join(each) for each in left[:MOST_LEFT_ALONE])
        more = f" and {len(left) - MOST_LEFT_ALONE} more" if len(left) > MOST_LEFT_ALONE else ""
        typer.echo(f"Not in {source}, left as they are: {names}{more}.")
    said = ", ".join(f"{number} {how}" for how, number in counts.items() if number)
    unchanged = outcome.differences.unchanged
    if not said:
        typer.echo(f"No difference: {unchanged} unchanged.")
    elif dry_run:
        typer.echo(f"Would be: {said}; {unchanged} unchanged. Nothing was changed.")
    else:
        typer.echo(f"Done: {said}; {unchanged} unchanged. Kept as {outcome.applied_id}.")


def visible(text: str) -> str:
    """What a terminal may show: no control characters of somebody's description."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _print_change(change: Change) -> None:
    sign = {"created": "+", "changed": "~", "disabled": "-"}[change.how]
    typer.echo(f"{sign} {visible(' '.join(change.id))}")
    for each in change.fields:
        typer.echo(f"    {visible(each.field)}: {_told(each, created=change.how == 'created')}")


def _told(change: FieldChange, *, created: bool) -> str:
    after = "none" if change.after is None else change.after
    return visible(after if created else f"{'none' if change.before is None else change.before} -> {after}")
