"""`paid-endpoint`: every command group by its name, imported only when it is used."""

import importlib
import io
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "up": (
        "cli.up",
        "Run the whole product on this machine: databases, demo upstream, gateway, portal, back office, jobs.",
    ),
    "gateway": ("cli.gateway", "Run the data plane: workers on one port."),
    "portal": ("cli.portal", "Run the customers' portal and its JSON API."),
    "admin": ("cli.admin", "Run the operators' back office."),
    "jobs": ("cli.jobs", "Run jobs by their schedules; look at their runs."),
    "migrate": ("cli.migrate", "Bring the database to this version's schema."),
    "seed": ("cli.seed", "Make the demo plans, people, keys and service, if missing."),
    "doctor": ("cli.doctor", "Check versions, settings, ports, clocks, pepper and reachability."),
    "settings": ("cli.settings", "Show every setting with its value (secrets redacted) and meaning."),
    "organizations": ("cli.organizations", "Create and list organizations."),
    "subscriptions": ("cli.subscriptions", "Show, begin, change, cancel and renew subscriptions."),
    "plans": ("cli.plans", "Create and list plans with their limits."),
    "services": ("cli.services", "Create and list services (upstream APIs)."),
    "operations": ("cli.operations", "Create and list a service's operations."),
    "export": ("cli.export", "Print plans, services and operations as one YAML file."),
    "apply": ("cli.apply", "Make plans, services and operations what a file says."),
    "import-legacy": ("cli.import_legacy", "Import clients, plans and keys of an older installation."),
    "what-if": ("cli.what_if", "Replay the past days against a draft of a plan."),
    "keys": ("cli.keys", "Create, list, rotate, restrict and revoke API keys."),
    "credits": ("cli.credits", "Grant, correct and refund credits; read and reconcile the ledger."),
    "backup": ("cli.backup", "Save the database in one file, while everything goes on."),
    "restore": ("cli.restore", "Bring a backup into an empty database, whole or not at all."),
    "logs": ("cli.logs", "List, follow and explain request logs."),
    "log-store": ("cli.log_store", "Look at ClickHouse for request logs; send it what it lacks; turn it off."),
    "users": ("cli.users", "Erase a person who wants to be forgotten."),
    "operators": ("cli.operators", "List, appoint and dismiss operators of the back office."),
    "alerts": ("cli.alerts", "List the alerts that stand, for operators and of customers."),
    "reports": ("cli.reports", "Show what goes on in the business and the installation."),
    "audit": ("cli.audit", "List, seal and verify the audit: who did what."),
}


class LazyGroup(TyperGroup):
    """Finds a command's module by name, so that `--help` does not import the whole product."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """All names in the order above."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        """The command, imported; None if there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, help_text = COMMANDS[cmd_name]
        if sys.argv[1:2] == ["--help"]:
            return TyperCommand(cmd_name, help=help_text)
        command = typer.main.get_command(importlib.import_module(module).app)
        command.name, command.help = cmd_name, command.help or help_text
        return command


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # they may hold a secret
    help="Sell any HTTP API: keys, limits, credits, logs.",
)


@app.callback()
def _root() -> None:
    """Sell any HTTP API: keys, limits, credits, logs."""


def run(arguments: list[str] | None = None) -> Any:
    """Entry point of the `paid-endpoint` script. Exit status: 0 done, 1 failed, 2 usage."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a customer's name is no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    return app(args=arguments, prog_name="paid-endpoint")


if __name__ == "__main__":
    run()
