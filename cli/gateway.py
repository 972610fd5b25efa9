"""`paid-endpoint gateway`: the data plane, as production runs it."""

from typing import Annotated

import typer

from domain.settings import GatewaySettings, Settings, load_settings

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

    settings = load_settings()
    settings.gateway = listener(settings, host, port, workers)
    raise typer.Exit(run(settings))


def listener(settings: Settings, host: str | None, port: int | None, workers: int | None) -> GatewaySettings:
    """The gateway's settings with the options put over them, and PORT_OFFSET added to ports that no option names."""
    given, offset = settings.gateway, settings.dev.port_offset
    return given.model_copy(
        update={
            "host": host or given.host,
            "port": given.port + offset if port is None else port,
            "internal_port": given.internal_port + offset if given.internal_port else 0,
            "workers": workers or given.workers,
        }
    )
