"""From sign-up to paying: cohorts of weeks, and a funnel. From `organization_milestone`, where firsts are written down."""

from typing import Any

from domain.reports.shapes import Chart, Column, Fact, Line, Report, ReportChoice
from domain.reports.words import percent

# Every column is in one index by the moment of the sign-up.
_COHORTS = """
select date_trunc('week', signed_up_at, 'UTC') as week, count(*) as signed_up,
       count(*) filter (where first_call_at < signed_up_at + interval '1 day') as called_1,
       count(*) filter (where first_call_at < signed_up_at + interval '7 days') as called_7,
       count(*) filter (where first_call_at < signed_up_at + interval '30 days') as called_30,
       count(*) filter (where first_priced_at < signed_up_at + interval '30 days') as priced_30,
       count(first_priced_at) as priced, count(paid_plan_at) as paid_plan
  from organization_milestone where signed_up_at >= date_trunc('week', $1::timestamptz, 'UTC') and signed_up_at < $2
 group by 1 order by 1 desc limit $3
"""
_FUNNEL = """
select count(*) as signed_up, count(verified_at) as verified, count(first_key_at) as first_key,
       count(first_call_at) as first_call, count(first_success_at) as first_success, count(first_priced_at) as priced,
       count(paid_plan_at) as paid_plan
  from organization_milestone where signed_up_at >= $1 and signed_up_at < $2
"""
_COLUMNS_COHORTS = (
    Column("week", "Signed up in the week of", "moment"),
    Column("signed_up", "Organizations", "count"),
    Column("called_1", "Called within a day", "count"),
    Column("called_1_share", "Within a day", "percent"),
    Column("called_7", "Called within 7 days", "count"),
    Column("called_7_share", "Within 7 days", "percent"),
    Column("called_30", "Called within 30 days", "count"),
    Column("called_30_share", "Within 30 days", "percent"),
    Column("priced_30", "Paid for a call within 30 days", "count"),
    Column("priced_30_share", "Within 30 days", "percent"),
    Column("priced", "Paid for a call so far", "count"),
    Column("paid_plan", "Took a plan with a price so far", "count"),
)
STEPS = {
    "signed_up": "Signed up",
    "verified": "A member's address is verified",
    "first_key": "Made an API key",
    "first_call": "Called",
    "first_success": "Got an answer of 2xx",
    "priced": "Paid for a call",
    "paid_plan": "Took a plan with a price",
}
_COLUMNS_FUNNEL = (
    Column("step", "Step", "text"),
    Column("organizations", "Organizations", "count"),
    Column("of_all", "Of all", "percent"),
    Column("of_previous", "Of the step before", "percent"),
)
_SOURCE = "First times are written down as they happen, calls within a minute or so; those from before this version to the day."


async def cohorts(connection: Any, choice: ReportChoice) -> Report:
    """The newest week first. A week that is younger than a span has not had its chance yet."""
    window = choice.window
    found = await connection.fetch(_COHORTS, window.since, window.until, choice.limit + 1)
    rows = tuple(_cohort(row) for row in found[: choice.limit])
    weeks = tuple(row[0] for row in reversed(rows))
    shares = ("called_1_share", "called_7_share", "called_30_share", "priced_30_share")
    places = {column.name: place for place, column in enumerate(_COLUMNS_COHORTS)}
    return Report(
        slug="cohorts",
        title="Cohorts of sign-ups",
        sentence=f"Organizations by the week in which they were made (Monday, UTC), {window.words}. {_SOURCE}",
        columns=_COLUMNS_COHORTS,
        rows=rows,
        filters=(None,) * len(rows),
        series=Chart(
            weeks,
            tuple(Line(name, "percent", tuple(row[places[name]] for row in reversed(rows))) for name in shares),
        ),
        more=len(found) > choice.limit,
    )


async def funnel(connection: Any, choice: ReportChoice) -> Report:
    """How many of those who signed up in the window have come to each step until now."""
    window = choice.window
    found = await connection.fetchrow(_FUNNEL, window.since, window.until)
    counts = [found[name] for name in STEPS]
    rows = tuple(
        (title, count, percent(count, counts[0]), percent(count, before))
        for title, count, before in zip(STEPS.values(), counts, [counts[0], *counts], strict=False)
    )
    return Report(
        slug="funnel",
        title="Funnel",
        sentence=f"Organizations that were made {window.words}, and how many of them came to each step until now;"
        f" a step does not ask for the one before. {_SOURCE}",
        columns=_COLUMNS_FUNNEL,
        rows=rows,
        filters=(None,) * len(rows),
        series=Chart(tuple(STEPS.values()), (Line("organizations", "count", tuple(counts)),)),
        facts=(Fact("paying", "Paid for a call", "percent", percent(found["priced"], counts[0])),),
    )


def _cohort(row: Any) -> tuple[Any, ...]:
    everybody = row["signed_up"]
    figures: list[Any] = []
    for name in ("called_1", "called_7", "called_30", "priced_30"):
        figures += [row[name], percent(row[name], everybody)]
    return row["week"], everybody, *figures, row["priced"], row["paid_plan"]
