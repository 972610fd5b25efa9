"""`paid-endpoint admin`: the operators' back office, as production runs it."""

from typing import Annotated

import typer

from cli.faces import run_face

app = typer.Typer()


@app.command()
def admin(
    host: Annotated[str | None, typer.Option(help="Address to bind; else ADMIN_HOST.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port; else ADMIN_PORT plus PORT_OFFSET.")] = None,
) -> None:
    """Run the operators' back office. SIGTERM stops it."""
    from admin.app import create_app

    run_face("admin", create_app, host=host, port=port)
