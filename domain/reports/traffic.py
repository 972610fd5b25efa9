"""Live traffic: the last 60 minutes, minute by minute, of all organizations together."""

import dataclasses
from collections import defaultdict
from datetime import UTC, timedelta
from typing import Any

from domain.histogram import BUCKETS
from domain.ingesting.grains import EVERY
from domain.reports.shapes import Chart, Column, Fact, Line, Report, ReportChoice
from domain.reports.words import latency_ms, percent, up_to

MINUTES = 60
_MINUTE = timedelta(minutes=1)
_WHERE = f"where organization_id = '{EVERY}' and grain = 'minute' and operation_id = '{EVERY}' and bucket >= $1 and bucket <= $2"
_SUMS = f"""
select bucket, sum(requests)::bigint as requests, sum(errors)::bigint as errors, sum(refused)::bigint as refused
  from usage_summary {_WHERE} group by bucket
"""
_LATENCY = f"""
select bucket, u.place::int as place, sum(u.n)::bigint as n
  from usage_summary, unnest(latency) with ordinality as u (n, place) {_WHERE} and u.n > 0 group by 1, 2
"""
_COLUMNS = (
    Column("minute", "Minute", "moment"),
    Column("requests", "Requests", "count"),
    Column("errors", "Errors", "count"),
    Column("refused", "Of them refused", "count"),
    Column("p50", "Median", "duration_ms"),
    Column("p95", "95 of 100", "duration_ms"),
)


async def live_traffic(connection: Any, choice: ReportChoice) -> Report:
    """The newest minute first; a minute without requests has zeros."""
    last = choice.window.now.astimezone(UTC).replace(second=0, microsecond=0)
    first = last - (MINUTES - 1) * _MINUTE
    sums = {row["bucket"]: row for row in await connection.fetch(_SUMS, first, last)}
    latency: dict[Any, list[int]] = defaultdict(lambda: [0] * BUCKETS)
    for bucket, place, n in await connection.fetch(_LATENCY, first, last):
        latency[bucket][place - 1] += n
    minutes = [first + _MINUTE * number for number in range(MINUTES)]
    rows = []
    for minute in minutes:
        found, counts = sums.get(minute), latency.get(minute)
        figures = (found["requests"], found["errors"], found["refused"]) if found else (0, 0, 0)
        rows.append((minute, *figures, latency_ms(counts, 0.5), latency_ms(counts, 0.95)))
    requests, errors, refused = (sum(row[place] for row in rows) for place in (1, 2, 3))
    looked_at = dataclasses.replace(choice, window=dataclasses.replace(choice.window, since=first))
    return Report(
        slug="live-traffic",
        title="Live traffic",
        sentence="Requests that ended in the last 60 minutes, also those without a valid key, from sums by the minute."
        f" {await up_to(connection, looked_at)}",
        columns=_COLUMNS,
        rows=tuple(reversed(rows)),
        filters=tuple({"from": row[0].isoformat(), "to": (row[0] + _MINUTE).isoformat()} for row in reversed(rows)),
        series=Chart(
            tuple(minutes),
            tuple(
                Line(column.name, column.kind, tuple(row[place] for row in rows))
                for place, column in enumerate(_COLUMNS)
                if place
            ),
        ),
        facts=(
            Fact("requests", "Requests", "count", requests),
            Fact("error_share", "Errors", "percent", percent(errors, requests)),
            Fact("refused_share", "Refused", "percent", percent(refused, requests)),
        ),
    )
