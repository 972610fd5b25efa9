"""The tables that people read: on the terminal, and in docs/benchmarks.md."""

import re
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from loadtests.bench.result import Lines, Part, Result
from loadtests.bench.targets import Target

INTRODUCTION = """\
# Benchmarks

Written by `make bench` (`python -m loadtests.bench --write`): the last run of each part that was kept. Absolute figures
drift with the machine; what is compared was measured within one run, and the ratios are what holds. Requests are made
by `wrk -c64` after a warm-up, rows interleaved, rounds with a busy machine repeated, no answer other than 200 in a
counted run. Event streams are read by a program of our own (`loadtests/streams`).
"""
HEAD = ("target", "what", "wanted", "median", "least .. most", "held", "commit")
_TARGET_ROW = re.compile(r"^\| (B\d[^|]*?) \|.*\|$", re.MULTILINE)
_PART = re.compile(r"^<!-- part (\w+) -->\n(.*?)(?=^<!-- part |\Z)", re.MULTILINE | re.DOTALL)


def target_line(target: Target, commit: str) -> tuple[str, ...]:
    """One target as a line of HEAD."""
    wanted = f"{'>=' if target.at_least else '<='} {target.bound:,g} {target.unit}"
    if target.measured is None:
        return target.name, target.meaning, wanted, "not measured", "", "NO", commit
    found = target.measured
    return (
        target.name, target.meaning, wanted, f"{figure(found.middle)} {target.unit}",
        f"{figure(found.least)} .. {figure(found.most)}", "yes" if target.held else "NO", commit,
    )  # fmt: skip


def figure(value: float) -> str:
    """A number with as many decimals as it deserves."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}".rstrip("0").rstrip(".")


def show(result: Result, console: Console) -> None:
    """Print it all."""
    commit = result.machine["commit"]
    tables: dict[str, Lines] = {
        f"{part.name}: {title}": lines for part in result.parts for title, lines in part.tables.items()
    }
    tables["targets"] = [HEAD[:-1], *(target_line(target, commit)[:-1] for target in result.targets)]
    for title, lines in tables.items():
        table = Table(*lines[0], title=title, title_justify="left")
        for line in lines[1:]:
            table.add_row(*line)
        console.print(table)
    for part in result.parts:
        for note in part_notes(part):
            console.print(f"{part.name}: {note}", highlight=False)
    console.print(", ".join(f"{name} {value}" for name, value in result.machine.items()), highlight=False)
    console.print(result.when, highlight=False)


def part_notes(part: Part) -> list[str]:
    """What its tables cannot say."""
    return [*part.notes, *(f"NOT TO BE USED: {fault}" for fault in part.faults)]


def markdown(result: Result, before: str = "") -> str:
    """docs/benchmarks.md: this run's parts and targets, and from the page `before` those that it did not measure."""
    commit = result.machine["commit"]
    again = {target.name[:2] for target in result.targets}
    rows = {found[1]: found[0] for found in _TARGET_ROW.finditer(before) if found[1][:2] not in again}
    rows |= {target.name: _markdown_line(target_line(target, commit)) for target in result.targets}
    sections = {found[1]: found[2] for found in _PART.finditer(before)}
    sections |= {part.name: _section(part, result) for part in result.parts}
    targets = [_markdown_line(HEAD), "|" + " --- |" * len(HEAD), *(rows[name] for name in sorted(rows))]
    parts = [INTRODUCTION, "## Targets\n", "\n".join(targets) + "\n"]
    parts += [
        f"<!-- part {name} -->\n{sections[name].strip()}\n" for name in sorted(sections, key=sections.__getitem__)
    ]
    return "\n".join(parts)


def _section(part: Part, result: Result) -> str:
    pieces = [f"## {part.title}\n"]
    for title, lines in part.tables.items():
        pieces += [f"### {title[0].upper()}{title[1:]}\n", _markdown_table(lines)]
    pieces.append("\n".join(f"- {line}" for line in [*part_notes(part), *_conditions(result)]) + "\n")
    return "\n".join(pieces)


def _conditions(result: Result) -> list[str]:
    return [f"{result.when}: " + ", ".join(f"{name} {value}" for name, value in result.machine.items()) + "."]


def _markdown_table(lines: Lines) -> str:
    head, *body = [_markdown_line(line) for line in lines]
    return "\n".join([head, "|" + " --- |" * len(lines[0]), *body]) + "\n"


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
