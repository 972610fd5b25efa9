"""`paid-endpoint settings`: every setting, where it stands, what it means."""

import json
from typing import Annotated

import typer
from rich.console import Console

from cli.connecting import settings_or_fail
from cli.setting_rows import setting_rows

app = typer.Typer()


@app.command()
def settings(as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False) -> None:
    """Show every setting with its value (secrets redacted) and meaning."""
    rows = setting_rows(settings_or_fail())
    if as_json:
        print(json.dumps([row.as_dict() for row in rows], indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    concern = ""
    for row in rows:
        if row.concern != concern:
            concern = row.concern
            console.print(f"\n[bold]{row.concern_title}[/]")
        mark = "" if row.is_default else "  (set)"
        console.print(f"  {row.name}={row.value}{mark}", markup=False)
        console.print(f"      {row.description}", markup=False, style="dim")
