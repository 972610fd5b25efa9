"""`paid-endpoint gateway`: the data plane, as production runs it."""

import logging
from typing import Annotated

import typer

from cli.connecting import settings_or_fail
from domain.settings import GatewaySettings, Settings

app = typer.Typer()


@app.command()
def gateway(
    host: Annotated[str | None, typer.Option(help="Address to bind; else GATEWAY_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port; else GATEWAY_PORT plus PORT_OFFSET.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=256, help="Worker processes; else GATEWAY_WORKERS.")] = None,
) -> None:
    """Run the data plane: workers on one port. SIGHUP reloads, SIGTERM drains and stops."""
    from gateway.server.supervisor import run

    settings = settings_or_fail()
    logging.basicConfig(level=settings.logs.level, format="%(asctime)s %(levelname)s supervisor %(name)s: %(message)s")
    settings.gateway = listener(settings, host, port, workers)
    raise typer.Exit(run(settings))


def listener(settings: Settings, host: str | None, port: int | None, workers: int | None) -> GatewaySettings:
    """The gateway's settings with the options put over them."""
    options = {"host": host, "port": port, "workers": workers}
    return settings.gateway.model_copy(update={name: value for name, value in options.items() if value is not None})
