"""What commands print: a table for people, `--json` for programs; errors on stderr."""

import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from uuid import UUID

import typer

if TYPE_CHECKING:
    from rich.table import Table

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

FAILED = 1
USAGE = 2
PIPE_WIDTH = 200
"""Columns of what does not go to a terminal, at the least."""
UNBOUNDED = 1_000_000


def as_data(value: Any) -> Any:
    """A record, or lists and mappings of them, as JSON knows it: ids and times (ISO 8601) as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_data(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(name): as_data(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_data(part) for part in value]
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if isinstance(value, date) else value


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    typer.echo(json.dumps(as_data(value), indent=2, ensure_ascii=False))


def print_rows(rows: Iterable[Any], columns: Sequence[str], *, as_json: bool) -> None:
    """Several records: all of them as JSON, or `columns` as a table."""
    found = [as_data(row) for row in rows]
    if as_json:
        print_json(found)
    elif found:
        print_table([name.replace("_", " ") for name in columns], [[row[name] for name in columns] for row in found])
    else:
        typer.echo("None.")


def print_record(record: Any, *, as_json: bool) -> None:
    """One record: as a JSON object, or a field a line."""
    data = as_data(record)
    if as_json:
        print_json(data)
    else:
        print_table(None, [[name.replace("_", " "), value] for name, value in data.items()])


def note(sentence: str) -> None:
    """Something that people should know; on stderr, so that stdout stays data."""
    typer.echo(sentence, err=True)


def fail(sentence: str, status: int = FAILED) -> NoReturn:
    """End the command with a sentence on stderr."""
    typer.echo(f"Error: {sentence}", err=True)
    raise typer.Exit(status)


def _cell(value: Any) -> str:
    if value is None or value in ([], ""):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_cell(part) for part in value)
    if isinstance(value, dict):
        return " ".join(_cell(part) for part in value.values())
    return str(value)


def print_table(heads: list[str] | None, rows: list[list[Any]]) -> None:
    """A table on stdout; without heads, two columns of names and values."""
    # Imported here: rich takes longer to load than `--json` takes to answer.
    from rich.console import Console

    table = _table(heads, rows)
    natural = Console(width=UNBOUNDED).measure(table).maximum
    if not sys.stdout.isatty():
        # A program reads it: no value is ever broken over two lines.
        Console(width=max(PIPE_WIDTH, natural), highlight=False).print(table)
        return
    console = Console(highlight=False)
    if heads is None or natural <= console.width:
        console.print(table)
        return
    # Too narrow for a table whose ids can be copied: a field a line.
    for number, row in enumerate(rows):
        if number:
            console.print()
        console.print(_table(None, [[head, value] for head, value in zip(heads, row, strict=True)]))


def _table(heads: list[str] | None, rows: list[list[Any]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=heads is not None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in heads or ("", ""):
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    return table
