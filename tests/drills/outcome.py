"""What a drill found: lines of a table, and whether the promise held."""

import json
from argparse import ArgumentParser, Namespace
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(slots=True)
class Outcome:
    """`broken` says in words which promises did not hold; empty is good."""

    title: str
    head: tuple[str, ...]
    lines: list[tuple[str, ...]]
    broken: list[str]


def arguments(name: str, about: str) -> ArgumentParser:
    """A parser with what all drills take."""
    parser = ArgumentParser(prog=f"python -m tests.drills.{name}", description=about)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def tell(outcomes: list[Outcome], options: Namespace) -> int:
    """Print them; the exit status: 1 when a promise was broken."""
    if options.json:
        print(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    else:
        for outcome in outcomes:
            table = Table(*outcome.head, title=outcome.title, title_justify="left")
            for line in outcome.lines:
                table.add_row(*line)
            Console(width=120).print(table)
            print(*(f"BROKEN: {what}" for what in outcome.broken), sep="\n")
    return 1 if any(outcome.broken for outcome in outcomes) else 0
