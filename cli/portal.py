"""`paid-endpoint portal`: the customers' pages and their API, as production runs it."""

import logging
from typing import Annotated

import typer

from cli.connecting import settings_or_fail
from cli.output import fail

app = typer.Typer()


@app.command()
def portal(
    host: Annotated[str | None, typer.Option(help="Address to bind; else PORTAL_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port; else PORTAL_PORT plus PORT_OFFSET.")
    ] = None,
) -> None:
    """Run the customers' portal and its JSON API. SIGTERM stops it."""
    from portal.serving import serve

    settings = settings_or_fail()
    options = {"host": host, "port": port}
    given = {name: value for name, value in options.items() if value is not None}
    settings.portal = settings.portal.model_copy(update=given)
    logging.basicConfig(level=settings.logs.level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        serve(settings)
    except ValueError as error:
        fail(str(error))
