"""`paid-endpoint portal`: the customers' pages and their API, as production runs it."""

from typing import Annotated

import typer

from cli.faces import run_face

app = typer.Typer()


@app.command()
def portal(
    host: Annotated[str | None, typer.Option(help="Address to bind; else PORTAL_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port; else PORTAL_PORT plus PORT_OFFSET.")
    ] = None,
) -> None:
    """Run the customers' portal and its JSON API. SIGTERM stops it."""
    from portal.app import create_app

    run_face("portal", create_app, host=host, port=port)
