"""The tables that people read: on the terminal, and in docs/benchmarks.md."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from loadtests.bench.contenders import SINGLE
from loadtests.bench.result import Result
from loadtests.bench.rounds import Round, Spread, counted, spread

INTRODUCTION = """\
# Benchmarks

Written by `make bench` (`python -m loadtests.bench --write`): the last run that was kept. Absolute figures drift with
the machine; rows are compared within a round, and the ratios are what holds. How it is measured: `wrk -t1 -c64` after a
warm-up, rows interleaved, rounds with a busy machine repeated, no answer other than 200 in a counted run.
"""

Lines = list[Sequence[str]]


def rate_lines(result: Result) -> Lines:
    """Head and lines of the throughput table: medians over the counted rounds."""
    lines: Lines = [("row", "requests/s", "least .. most", "p50 ms", "p99 ms", "c1 p50 ms", "c1 p99 ms")]
    for row in result.rounds[0].full:
        rate = spread(result.rounds, row, lambda run: run.rate)
        p50 = spread(result.rounds, row, lambda run: run.p50_us).middle / 1000
        p99 = spread(result.rounds, row, lambda run: run.p99_us).middle / 1000
        alone = single(result.rounds, row) if row in SINGLE else ("", "")
        bounds = f"{rate.least:,.0f} .. {rate.most:,.0f}"
        lines.append((row, f"{rate.middle:,.0f}", bounds, f"{p50:.2f}", f"{p99:.2f}", *alone))
    return lines


def single(rounds: Sequence[Round], row: str) -> tuple[str, str]:
    """Median p50 and p99 at concurrency 1, in milliseconds."""
    alone = [one.single[row] for one in counted(rounds)]
    p50, p99 = Spread.of([run.p50_us for run in alone]), Spread.of([run.p99_us for run in alone])
    return f"{p50.middle / 1000:.3f}", f"{p99.middle / 1000:.3f}"


def target_lines(result: Result) -> Lines:
    """Head and lines of the target table."""
    lines: Lines = [("target", "what", "wanted", "median", "least .. most", "held")]
    for target in result.targets:
        sign = ">=" if target.at_least else "<="
        found = target.measured
        lines.append((
            target.name, target.meaning, f"{sign} {target.bound:g} {target.unit}", f"{found.middle:.3f} {target.unit}",
            f"{found.least:.3f} .. {found.most:.3f}", "yes" if target.held else "NO",
        ))  # fmt: skip
    return lines


def audit_lines(result: Result) -> Lines:
    """Head and lines of the log's audit."""
    lines: Lines = [("log after", "answers", "rows", "missing", "twice", "unread at the end <=", "sound")]
    for name, found in result.audits.items():
        figures = (found.answers, found.rows, found.missing, found.duplicates, found.unread)
        lines.append((name, *(f"{figure:,}" for figure in figures), "yes" if found.sound else "NO"))
    return lines


def notes(result: Result) -> list[str]:
    """What the tables cannot say."""
    kept = sum(one.counted for one in result.rounds)
    return [
        f"{result.when}; {kept} of {len(result.rounds)} rounds counted, {result.seconds} s each.",
        result.placement,
        f"The gateway's worker held {result.worker_megabytes:.0f} MB at the end.",
        "B5 to B8 are not part of this run.",
        *(f"NOT TO BE USED: {fault}" for fault in result.faults),
    ]


def show(result: Result, console: Console) -> None:
    """Print it all."""
    for title, lines in (
        ("64 connections", rate_lines(result)),
        ("targets", target_lines(result)),
        ("log", audit_lines(result)),
    ):
        table = Table(*lines[0], title=title, title_justify="left")
        for line in lines[1:]:
            table.add_row(*line)
        console.print(table)
    for line in (*notes(result), ", ".join(f"{name} {value}" for name, value in result.machine.items())):
        console.print(line, highlight=False)


def markdown(result: Result) -> str:
    """docs/benchmarks.md."""
    parts = [INTRODUCTION]
    for title, lines in (
        ("64 connections", rate_lines(result)),
        ("Targets", target_lines(result)),
        ("Log", audit_lines(result)),
    ):
        parts += [f"## {title}\n", _markdown_table(lines)]
    parts += ["## Conditions\n", "\n".join(f"- {line}" for line in notes(result)) + "\n"]
    parts.append(_markdown_table([("machine", ""), *result.machine.items()]))
    return "\n".join(parts)


def _markdown_table(lines: Lines) -> str:
    head, *body = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([head, "|" + " --- |" * len(lines[0]), *body]) + "\n"
