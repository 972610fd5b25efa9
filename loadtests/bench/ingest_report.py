"""B7 in figures: what the watch over the request log saw, as targets and tables."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from loadtests.bench.audit import Audit
from loadtests.bench.result import Lines, Part
from loadtests.bench.sparkline import sparkline
from loadtests.bench.targets import Target, at_least, at_most
from loadtests.bench.wrk import Run
from loadtests.ingest.feed import Fed
from loadtests.ingest.watch import Sample, Watch

WANTED_RATE, MOST_LAG = 15_000, 2.0
BURST_FEW, BURST_MANY, STEADY = "burst, 20 keys", "burst, 20,000 keys", "15,000/s, 20,000 keys"
TABLE_LINES = 12
PLACEMENT = (
    "Core 0: the gateway's worker and the upstream, later the program that writes the journal. Core 1: the ingester, "
    "PostgreSQL, Valkey, and in the first table wrk. Lag: from a request's end, twice a second, to its row being seen."
)


@dataclass(frozen=True, slots=True)
class Live:
    """Requests at the peak of one core, for `seconds`."""

    run: Run
    watch: Watch
    seconds: float
    audit: Audit


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Rows written by hand; `stored_seconds` from the first append to the last row being seen, `folded_seconds` to the
    rollups holding them all; None: not within a minute.
    """

    name: str
    keys: int
    rate: float
    fed: Fed
    watch: Watch
    stored_seconds: float | None
    folded_seconds: float | None

    @property
    def stored_rate(self) -> float:
        """Rows a second, 0 if they were not all stored."""
        return self.fed.rows / self.stored_seconds if self.stored_seconds else 0.0


def judge(live: Live, synthetic: Sequence[Synthetic]) -> Part:
    """The part from what was seen."""
    tables = {"lag at the peak of one core": _over_time(live.watch)}
    if synthetic:
        tables["journals written by hand"] = _by_hand(synthetic)
    notes = [
        f"{live.run.rate:,.0f} requests/s for {live.seconds:.0f} s; {live.audit.rows:,} rows for {live.audit.answers:,} answers.",
        f"Lag over time, seconds: {sparkline([lag for _, lag in sorted(live.watch.lags)], 0.0)}",
        PLACEMENT,
    ]
    if not synthetic:
        notes.append(
            "This version has no ingester of its own: rows are stored by the workers, no journal can be written by hand."
        )
    return Part(
        "ingest", "B7: the request log keeps up",
        targets=_targets(live, synthetic), tables=tables, notes=notes, faults=_faults(live, synthetic),
        data={
            "rate": live.run.rate, "lags": live.watch.lags, "samples": [asdict(one) for one in live.watch.samples],
            "by_hand": {one.name: {"rate": one.stored_rate, "lags": one.watch.lags} for one in synthetic},
        },
    )  # fmt: skip


def _targets(live: Live, synthetic: Sequence[Synthetic]) -> list[Target]:
    minutes = f"{live.seconds / 60:.1f} min at {live.run.rate:,.0f} requests/s"
    found = {one.name: one for one in synthetic}
    bursts = (("B7 20 keys", BURST_FEW), ("B7 20,000 keys", BURST_MANY))
    steady = found.get(STEADY)
    return [
        at_most("B7 lag", f"worst over {minutes}", MOST_LAG, "s", live.watch.worst),
        *(
            at_least(name, "stored of a journal written at once", WANTED_RATE, "rows/s",
                     found[burst].stored_rate if burst in found else None)
            for name, burst in bursts
        ),
        at_most("B7 steady", f"worst lag at {WANTED_RATE:,} rows/s of 20,000 keys", MOST_LAG, "s",
                steady.watch.worst if steady else None),
    ]  # fmt: skip


def _faults(live: Live, synthetic: Sequence[Synthetic]) -> list[str]:
    faults = [f"{live.run.not_200} not 200, {live.run.broken} broken, {live.run.answers} in all"] * (not live.run.clean)
    if not live.audit.sound:
        faults.append(f"log: {live.audit.words}")
    faults += [f"{one.name}: rows not stored in time" for one in synthetic if one.stored_seconds is None]
    faults += [
        f"{one.name}: rollups not complete in time"
        for one in synthetic
        if one.stored_seconds and not one.folded_seconds
    ]
    return faults


def _over_time(watch: Watch) -> Lines:
    lines: Lines = [
        ("seconds", "answered/s", "stored/s", "rows behind", "worst lag s", "ingester core", "PostgreSQL core")
    ]
    for first, last in pairwise(_marks(watch.samples)):
        lags = [lag for at, lag in watch.lags if first.seconds <= at < last.seconds]
        span = last.seconds - first.seconds
        lines.append((
            f"{first.seconds:.0f} .. {last.seconds:.0f}", f"{(last.answered - first.answered) / span:,.0f}",
            f"{(last.stored - first.stored) / span:,.0f}", f"{max(0, last.answered - last.stored):,}",
            f"{max(lags):.2f}" if lags else "", f"{(last.ingester - first.ingester) / span:.0%}",
            f"{(last.postgres - first.postgres) / span:.0%}",
        ))  # fmt: skip
    return lines


def _marks(samples: Sequence[Sample]) -> list[Sample]:
    """Where the lines of a table begin and end."""
    if len(samples) <= TABLE_LINES + 1:
        return list(samples)
    return [samples[round(place * (len(samples) - 1) / TABLE_LINES)] for place in range(TABLE_LINES + 1)]


def _by_hand(synthetic: Sequence[Synthetic]) -> Lines:
    lines: Lines = [("journal", "rows", "written in s", "stored in s", "rows/s", "in the rollups after s", "worst lag s",
                     "ingester us/row", "PostgreSQL us/row")]  # fmt: skip
    for one in synthetic:
        first, last = one.watch.samples[0], one.watch.samples[-1]
        lines.append((
            one.name, f"{one.fed.rows:,}", f"{(one.fed.ended_ns - one.fed.began_ns) / 1e9:.1f}",
            f"{one.stored_seconds:.1f}" if one.stored_seconds else "never", f"{one.stored_rate:,.0f}",
            f"{one.folded_seconds:.1f}" if one.folded_seconds else "never", f"{one.watch.worst:.2f}",
            f"{(last.ingester - first.ingester) * 1e6 / one.fed.rows:.1f}",
            f"{(last.postgres - first.postgres) * 1e6 / one.fed.rows:.1f}",
        ))  # fmt: skip
    return lines
