"""`paid-endpoint export`: plans, services, operations and operators as one file."""

import json
from typing import Annotated

import typer

from cli.connecting import with_connection
from domain.as_code.applying import export
from domain.as_code.editor_schema import editor_schema

app = typer.Typer()


@app.command(epilog="Example: paid-endpoint export > business.yaml")
def export_(
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of the file, for editors.")] = False,
) -> None:
    """Print plans, services, operations and operators as one commented YAML file, which `apply` reads."""
    if schema:
        typer.echo(json.dumps(editor_schema(), indent=2))
        return
    typer.echo(with_connection(lambda connection, _: export(connection)), nl=False)
