"""`paid-endpoint up`: the whole product on this machine, until Ctrl-C."""

import time
from typing import Annotated

import typer
from rich.console import Console

from cli.connecting import settings_or_fail
from cli.supervisor.demo import DemoFile
from cli.supervisor.failures import StopRequested, SupervisorError
from cli.supervisor.instance import Instance
from cli.supervisor.instance_lock import InstanceLock
from cli.supervisor.product import Product
from cli.supervisor.seeding import migrate_and_seed
from cli.supervisor.summary import show_summary
from cli.supervisor.watch import Watch

app = typer.Typer()

LOOK_SECONDS = 0.3


@app.command()
def up(
    demo: Annotated[bool, typer.Option(help="Seed the demo and run its upstream.")] = True,
) -> None:
    """Run databases, demo upstream, gateway, portal, back office and jobs here, until Ctrl-C. Data, logs and keys are in `.data`.

    DATABASE_URL and REDIS_URL, if set, are used instead of databases of our own. PORT_OFFSET=n moves every port.
    SIGHUP reloads the gateway without a failed request.
    """
    console = Console(highlight=False, soft_wrap=True)
    try:
        instance = Instance(settings_or_fail())
        instance.prepare()
        with InstanceLock(instance.directory / "up.lock"):
            instance.load_secrets()
            product = Product(instance, settings_or_fail(), demo=demo)
            with product.inbox:
                run(product, console)
    except SupervisorError as error:
        console.print(f"\n[bold red]Not started.[/] {error.message}\n", markup=True)
        console.print(error.advice, markup=False)
        raise typer.Exit(1) from None


def run(product: Product, console: Console) -> None:
    """Start, keep running, stop. Raises SupervisorError, with everything stopped, if the start fails."""
    try:
        begin = time.monotonic()
        product.require_ports()
        with console.status("Starting the databases"):
            product.start_databases()
        with console.status("Preparing the database"):
            demo_pairs = migrate_and_seed(product, DemoFile(product.instance), console.print)
        with console.status("Starting the gateway"):
            if product.demo:
                product.start_upstream()
            product.start_gateway()
        with console.status("Starting the portal"):
            product.start_portal()
        with console.status("Starting the back office"):
            product.start_admin()
        with console.status("Starting the jobs"):
            product.start_jobs()
        show_summary(console, product, demo_pairs, time.monotonic() - begin)
        watch(product, console)
    except StopRequested:
        console.print("\nStopping.")
    finally:
        product.inbox.stopping = True  # from here on a signal means: at once
        product.stop()
    console.print("Stopped; the data stays.")


def watch(product: Product, console: Console) -> None:
    """Look after the parts until a stop arrives, which leaves as StopRequested."""
    parts = Watch(product.parts, lambda sentence: console.print(sentence, markup=False))
    while True:
        if product.inbox.reload_within(LOOK_SECONDS):
            product.reload_gateway()
            console.print("Reloading the gateway.")
        parts.look()
