"""A storm's tables: what was asked, answered, recorded, per kind of request and per kind of kill."""

from collections import Counter
from dataclasses import astuple

from rich.console import Console
from rich.table import Table

from tests.drills.audit import Report
from tests.drills.evidence import Evidence, Sighting


def show(report: Report, evidence: Evidence) -> None:
    """Print everything, the broken promises last."""
    console = Console(width=150)
    console.print(_by_kind(report))
    console.print(_by_kill(report, evidence))
    statuses = ", ".join(f"{status or 'none'}: {count}" for status, count in sorted(report.statuses.items()))
    outcomes = ", ".join(f"{seen} -> {stored}: {count}" for (seen, stored), count in sorted(report.outcomes.items()))
    print(f"status seen: {statuses}")
    print(f"seen by its caller -> outcome in its row: {outcomes}")
    unseen = {arrival.request_id for arrival in evidence.arrivals} - {one.request_id for one in evidence.sightings}
    print(f"forwarded, and its caller never saw an id (left, or the worker died first): {len(unseen)}")
    for organization, count in report.admitted.items():
        print(f"admitted of {organization}, limit {evidence.limits[organization]}: {count}")
    print(*(f"BROKEN: {what}" for what in report.broken), sep="\n")


def _by_kind(report: Report) -> Table:
    head = (
        "request",
        "asked",
        "answered whole",
        "id seen",
        "rows",
        "duplicates",
        "missing",
        "cut",
        "no answer",
        "left",
    )
    table = Table(*head, title="by kind of request", title_justify="left")
    lines = list(report.lines.values())
    for line in sorted(lines, key=lambda line: line.kind):
        table.add_row(*map(str, astuple(line)))
    sums = [sum(column) for column in list(zip(*map(astuple, lines), strict=True))[1:]]
    table.add_row("all", *map(str, sums), style="bold")
    return table


def _by_kill(report: Report, evidence: Evidence) -> Table:
    head = ("killed", "times", "under way", "answered whole", "cut", "no answer", "rows missing", "back after, longest")
    table = Table(*head, title="by kind of kill", title_justify="left")
    for kind, times in sorted(Counter(kill.kind for kill in evidence.kills).items()):
        kills = [kill for kill in evidence.kills if kill.kind == kind]
        struck = [one for one in evidence.sightings if any(one.began <= kill.at <= one.ended for kill in kills)]
        longest = max(kill.back - kill.at for kill in kills)
        table.add_row(
            kind, str(times), *map(str, _fates(struck)), str(report.missing_by_kill[kind]), f"{longest:.1f} s"
        )
    if report.missing_by_kill["none"]:
        table.add_row("(nobody)", "", "", "", "", "", str(report.missing_by_kill["none"]), "")
    return table


def _fates(struck: list[Sighting]) -> tuple[int, int, int, int]:
    whole = sum(one.whole for one in struck)
    cut = sum(bool(one.cut and one.status) for one in struck)
    return len(struck), whole, cut, sum(not one.status and not one.aborted for one in struck)
