"""What `up` prints once everything runs: where it is, one call that works, how to stop."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from cli.supervisor.product import Product


def show_summary(console: Console, product: Product, demo: Mapping[str, str], seconds: float) -> None:
    """Print it; `demo` are the pairs of demo.env, empty without the demo."""
    instance = product.instance
    table = Table.grid(padding=(0, 2))
    for name, where in _addresses(product):
        table.add_row("", name, where)
    console.print(f"\n[bold]paid-endpoint runs[/] (ready in {seconds:.1f} s)\n")
    console.print(table)
    if demo:
        console.print("\n  Try it:\n")
        console.print(
            f'  curl -i -H "X-API-Key: {demo["API_KEY"]}" {demo["GATEWAY_URL"]}/proxy/hello',
            markup=False,
            soft_wrap=True,
        )
    console.print(
        f"\n  Data and logs are in {instance.directory}, keys and passwords in {instance.directory}/demo.env."
    )
    console.print("  Stop with Ctrl-C; start again with the same data.\n")


def _addresses(product: Product) -> list[tuple[str, str]]:
    ports = product.instance.ports
    portal = f"http://localhost:{ports.portal}"
    rows = [("Gateway", f"http://127.0.0.1:{ports.gateway}"), ("Portal", portal)]
    if product.has_mailbox:
        rows.append(("Its mails", f"{portal}/dev/mailbox"))
    rows.append(("Back office", f"http://localhost:{ports.admin}"))
    if ports.internal:
        rows.append(("Metrics", f"http://127.0.0.1:{ports.internal}/metrics"))
    if product.demo:
        rows.append(("Demo upstream", product.upstream_url))
    postgres = f"127.0.0.1:{ports.postgres}" if "postgres" in product.servers else "given by DATABASE_URL"
    valkey = f"127.0.0.1:{ports.valkey}" if "valkey" in product.servers else "given by REDIS_URL"
    return [*rows, ("PostgreSQL", postgres), ("Valkey", valkey)]
