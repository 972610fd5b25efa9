"""The audit: whether R1 to R12 held in a run but for those on money, from what was written down and what the database says.

`python -m tests.drills.audit FOLDER` reads a run's evidence again (`DATABASE_URL` says where its rows are). Without
any evidence in the folder it checks what the database alone can show: one row an id, rollups that equal their rows.
R2, R4 and R6 are `tests.drills.storm_money`'s.
"""

import asyncio
import os
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from tests.drills.evidence import AGENT, Arrival, Evidence, Sighting

ROWS = """
select l.id::text, l.at, coalesce(o.slug, '') as organization, l.status, l.outcome, l.refusal, l.bytes_out,
       l.total_us, l.upstream_us,
       substr(l.user_agent, length($1) + 1) as serial
  from request_log l left join organization o on o.id = l.organization_id where l.user_agent like $1 || '%'
"""
DUPLICATES = "select id::text, count(*) from request_log group by id having count(*) > 1"
ROLLUPS = """
with logged as (
  select coalesce(organization_id, $1) as o, coalesce(key_id, $1) as k, status / 100 as c,
         count(*) as n, sum(bytes_out) as b, sum(total_us) as t from request_log group by 1, 2, 3),
folded as (
  select grain, organization_id as o, key_id as k, status_class as c,
         sum(requests) as n, sum(bytes_out) as b, sum(total_us_sum) as t from usage_rollup group by 1, 2, 3, 4),
wanted as (select grain, logged.* from logged cross join (values ('minute'), ('hour'), ('day')) as g (grain))
select grain, o::text, c, w.n as rows, f.n as folded from wanted w full join folded f using (grain, o, k, c)
 where (w.n, w.b, w.t) is distinct from (f.n, f.b, f.t)
"""
NO_ID = "00000000-0000-0000-0000-000000000000"
REFUSED_STATUSES = frozenset({400, 401, 402, 403, 404, 429})
UNRECORDED = "overloaded"
"""Where there is no room for a record, a request is refused, and that alone may leave none."""
RECOVERY_SECONDS = 10.0
WORKERS = 2


@dataclass(slots=True)
class Line:
    """A line of the table: one kind of request. `seen`: a head with an id reached the caller."""

    kind: str
    asked: int = 0
    answered: int = 0
    seen: int = 0
    rows: int = 0
    duplicates: int = 0
    missing: int = 0
    cut: int = 0
    unanswered: int = 0
    left: int = 0


@dataclass(slots=True)
class Report:
    """`broken`: in words, every promise that did not hold. `outcomes`: (status seen, outcome stored) and how often."""

    lines: dict[str, Line] = field(default_factory=dict)
    missing_by_kill: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    statuses: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    outcomes: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    admitted: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def condense(self, most: int = 6) -> None:
        """Keep the first few of each sort of fault in full, and the number of the others."""
        sorts: dict[str, list[str]] = defaultdict(list)
        for what in self.broken:
            sorts[what.partition(":")[0]].append(what)
        self.broken = []
        for sort, found in sorts.items():
            self.broken += found[:most]
            self.broken += [f"{sort}: ... and {len(found) - most} more"] if len(found) > most else []


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database has."""

    rows: list[Any]
    duplicates: list[Any]
    rollup_differences: list[Any]

    @classmethod
    async def of(cls, connection: Any) -> "Stored":
        """Read it in one snapshot."""
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return cls(
                await connection.fetch(ROWS, AGENT),
                await connection.fetch(DUPLICATES),
                await connection.fetch(ROLLUPS, NO_ID),
            )


def audit(evidence: Evidence, stored: Stored) -> Report:
    """Compare."""
    report = Report()
    by_id: dict[str, list[Any]] = defaultdict(list)
    for row in stored.rows:
        by_id[row["id"]].append(row)
    for seen in evidence.sightings:
        _count(report, seen, by_id.get(seen.request_id, []), evidence)
    report.broken += (f"R5: id {row['id']} has {row['count']} rows" for row in stored.duplicates)
    report.broken += (
        f"rollups: {row['grain']} of {row['o']}, class {row['c']}: {row['folded']} folded of {row['rows']} rows"
        for row in stored.rollup_differences
    )
    report.broken += _serials(stored.rows)
    report.broken += _bytes(evidence.sightings, evidence.arrivals)
    report.broken += _refused(evidence, by_id)
    report.broken += (
        f"R10: {seen.kind} {seen.serial} did not end: {seen.cut}" for seen in evidence.sightings if seen.hung
    )
    report.broken += _over_admitted(report, evidence)
    report.condense()
    return report


def _count(report: Report, seen: Sighting, rows: list[Any], evidence: Evidence) -> None:
    """One request into the table; R1 and R5: whoever saw an id finds exactly one row of it."""
    line = report.lines.setdefault(seen.kind, Line(seen.kind))
    line.asked += 1
    line.answered += seen.whole
    line.cut += bool(seen.cut and seen.status)
    line.left += bool(seen.aborted)
    line.unanswered += not seen.status and not seen.aborted
    report.statuses[seen.status] += 1
    if seen.status == 500:
        report.broken.append(f"status 500: {seen.kind} {seen.request_id}")
    if not seen.request_id or (seen.code == UNRECORDED and not rows):
        return
    line.seen += 1
    line.rows += bool(rows)
    line.duplicates += len(rows) > 1
    end = "whole" if seen.whole else "left" if seen.aborted else "cut"
    report.outcomes[end, rows[0]["outcome"] if rows else "(no row)"] += 1
    if not rows:
        line.missing += 1
        kill = struck_by(seen, evidence)
        report.missing_by_kill[kill] += 1
        report.broken.append(
            f"R5 ({kind_of(seen)}): {seen.request_id} was seen and has no row; before its loss: {kill}"
        )
        return
    row = rows[0]
    undecided = seen.key != "live" or row["refusal"] == "cannot_decide"  # whose key it is may not be known then
    owners = {seen.organization, ""} if undecided else {seen.organization}
    if row["status"] != seen.status or row["organization"] not in owners:
        report.broken.append(
            f"R1: {seen.request_id} was {seen.status} of {seen.organization}, and its row says {dict(row)}"
        )
    if seen.whole and row["outcome"] in {"cut", "gone"}:
        report.broken.append(f"R1: {seen.request_id} was whole at the caller, and its row says {row['outcome']}")
    if seen.whole and seen.kind != "head" and row["bytes_out"] != seen.received:
        report.broken.append(f"R1: {seen.request_id} had {seen.received} bytes, and its row says {row['bytes_out']}")


def kind_of(seen: Sighting) -> str:
    """How a sighting is named in a sentence."""
    return f"{seen.kind}, {'whole' if seen.whole else seen.aborted or 'cut'}"


def struck_by(seen: Sighting, evidence: Evidence) -> str:
    """The kind of the last kill before a request had ended, or soon after: rows are lost by the death that follows."""
    after = [kill for kill in evidence.kills if seen.began <= kill.at <= seen.ended + 3.5]
    return after[0].kind if after else "none"


def _serials(rows: list[Any]) -> Iterable[str]:
    """R1 from the other side: a request of a caller is one exchange, so it leaves one id. A retry would make two."""
    ids: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        ids[row["serial"]].add(row["id"])
    return [
        f"R1: request {serial} left several ids: {sorted(found)}" for serial, found in ids.items() if len(found) > 1
    ]


def _bytes(sightings: list[Sighting], arrivals: list[Arrival]) -> Iterable[str]:
    """R7: nothing ends well that is not whole. R8: nobody sees another's bytes, in neither direction."""
    for seen in sightings:
        if seen.wrong:
            rule = "R7" if seen.wrong.startswith("truncated") else "R8"
            yield f"{rule}: {seen.kind} {seen.serial} ({seen.request_id}): {seen.wrong}"
    for arrival in arrivals:
        if arrival.wrong:
            yield f"R8: at the upstream, {arrival.serial} ({arrival.request_id}): {arrival.wrong}"


def _refused(evidence: Evidence, by_id: dict[str, list[Any]]) -> Iterable[str]:
    """R9: whom we refuse causes no upstream call."""
    arrived = {arrival.request_id: arrival for arrival in evidence.arrivals}
    serials = {arrival.serial for arrival in evidence.arrivals}
    for seen in evidence.sightings:
        if seen.key != "live" and seen.serial in serials:
            yield f"R9: {seen.serial} with a key that is {seen.key} was forwarded"
        if seen.status in REFUSED_STATUSES and seen.request_id in arrived:
            yield f"R9: {seen.request_id} was refused with {seen.status} and was forwarded"
        if seen.key != "live" and seen.status and seen.status not in {401, 429, 503}:
            yield f"R9: a key that is {seen.key} got {seen.status} ({seen.request_id})"
    for rows in by_id.values():
        if rows[0]["outcome"] == "refused" and rows[0]["id"] in arrived:
            yield f"R9: {rows[0]['id']} is logged as refused ({rows[0]['refusal']}) and was forwarded"
    for request_id, count in _counts(arrival.request_id for arrival in evidence.arrivals if not arrival.wrong).items():
        if count > 1:
            yield f"R9: {request_id} reached the upstream {count} times"


def _over_admitted(report: Report, evidence: Evidence) -> Iterable[str]:
    """G1: no more requests of a limited organization reached the upstream than its window holds.

    While Redis is away, each worker's local share comes on top of that, which the product says (G5): all workers of a
    node together have the amount once more, rounded up.
    """
    away = any(kill.kind in {"redis", "everybody"} for kill in evidence.kills)
    for organization, amount in evidence.limits.items():
        most = 2 * amount + WORKERS if away else amount
        mine = {one.request_id for one in evidence.arrivals if one.organization == organization}
        report.admitted[organization] = len(mine)
        if len(mine) > most:
            yield f"G1: {len(mine)} requests of {organization} were admitted; the limit is {amount} in an hour, {most} with this run's faults"


def _counts(ids: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for one in ids:
        counts[one] += 1
    return counts


async def main(folder: Path, database_url: str) -> int:
    """Audit what a folder and a database hold; exit status 1 when a promise was broken."""
    from tests.drills.storm_report import show

    connection = await asyncpg.connect(database_url)
    try:
        report = audit(Evidence.of(folder), await Stored.of(connection))
    finally:
        await connection.close()
    show(report, Evidence.of(folder))
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]), os.environ["DATABASE_URL"])))
