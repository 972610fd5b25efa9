"""Top and fading organizations.

100,000 of them have a sum in every day; so candidates are found in a row of each a day, week or month that covers the window
(`organization_usage`), and only theirs are summed up exactly. Who is no candidate had at most what the last of them had in
each, and so in the window: the sentence says how much that is.
"""

from datetime import datetime, timedelta
from typing import Any

from domain.ingesting.grains import EVERY
from domain.reports.shapes import Chart, Column, Line, Named, Report, ReportChoice
from domain.reports.windows import DAY, floor
from domain.reports.words import change_percent, log_filters, percent, up_to

CANDIDATES = 200
ORDERS = {"requests": "requests", "credits": "cost_micro"}
FADING_DAYS = 7 * DAY
_DAYS_KEPT, _WEEKS_KEPT = timedelta(days=3), timedelta(days=112)
_LONGEST_BY_WEEKS = 16 * DAY

# The first of each bucket: nobody else had more than the least of them, in each.
_CANDIDATES = """
select b.bucket, first.organization_id, first.most
  from (select generate_series(date_trunc($1, $2::timestamptz, 'UTC') at time zone 'UTC', ($3::timestamptz at time zone 'UTC')
               - interval '1 microsecond', ('1 ' || $1)::interval) at time zone 'UTC' as bucket) as b
  cross join lateral (
       select organization_id, {figure} as most from organization_usage
        where grain = $1 and bucket = b.bucket and {figure} > 0 and ($4::uuid is null or organization_id = $4)
        order by {figure} desc, organization_id limit {candidates}) as first
"""
_AMONG = """
with first as materialized ({candidates}), candidate as materialized (select distinct organization_id from first),
least as (select sum(most)::bigint as most, max(full_) as full_ from (
    select min(most) * (count(*) >= {count})::int as most, (count(*) >= {count})::int as full_ from first group by bucket) as b)
"""
_EXACT = f"""
cross join lateral (
    select coalesce(sum(requests), 0)::bigint as requests, coalesce(sum(errors), 0)::bigint as errors,
           coalesce(sum(refused), 0)::bigint as refused, coalesce(sum(cost_micro), 0)::bigint as cost_micro
      from usage_summary where organization_id = c.organization_id and grain = {{grain}} and key_id = '{EVERY}'
       and service_id = '{EVERY}' and operation_id = '{EVERY}' and bucket >= {{since}} and bucket < {{until}}) as {{name}}
"""
# Weeks of an organization are in its narrow rows alone.
_EXACT_WEEKS = """
cross join lateral (
    select coalesce(sum(requests), 0)::bigint as requests, coalesce(sum(errors), 0)::bigint as errors,
           coalesce(sum(refused), 0)::bigint as refused, coalesce(sum(cost_micro), 0)::bigint as cost_micro
      from generate_series($2::timestamptz, $3::timestamptz - interval '1 day', interval '7 days') as w (week)
      join organization_usage u on u.grain = $5 and u.bucket = w.week and u.organization_id = c.organization_id) as w
"""
_NAMED = """
  join organization o on o.id = c.organization_id
  left join subscription s on s.organization_id = o.id and s.state in ('trialing', 'active', 'past_due')
  left join plan p on p.id = s.plan_id
"""
_NAMES = "o.id, o.name, o.slug, p.id as plan_id, p.name as plan, p.slug as plan_slug"
_TOP = f"""
{{among}}
select {_NAMES}, c.*, (select full_ from least) as more, (select most from least) as least
  from (select c.organization_id, w.* from candidate c {{exact}} where w.{{figure}} > 0
         order by w.{{figure}} desc, 1 limit $6) as c {_NAMED}
 order by c.{{figure}} desc, o.id
"""
_FADING = f"""
{{among}}
select {_NAMES}, c.*, (select full_ from least) as more, (select most from least) as least
  from (select c.organization_id, b.requests as before, n.requests as now, b.cost_micro as spent_before,
               n.cost_micro as spent_now from candidate c {_EXACT.format(grain="'day'", since="$2", until="$3", name="b")}
  {_EXACT.format(grain="'day'", since="$3", until="$5", name="n")}
         where n.requests < b.requests order by b.requests - n.requests desc, 1 limit $6) as c {_NAMED}
 order by c.before - c.now desc, o.id
"""
_EXACT_WINDOW = _EXACT.format(grain="$5", since="$2", until="$3", name="w")
_WHO = (Column("organization", "Organization", "organization"), Column("plan", "Plan", "plan"))
_COLUMNS_TOP = (
    *_WHO,
    Column("requests", "Requests", "count"),
    Column("errors", "Errors", "count"),
    Column("error_share", "Errors", "percent"),
    Column("refused", "Refused", "count"),
    Column("spent", "Credits spent", "credits_micro"),
)
_COLUMNS_FADING = (
    *_WHO,
    Column("before", "Requests before", "count"),
    Column("now", "Requests now", "count"),
    Column("change", "Change", "percent"),
    Column("spent_before", "Spent before", "credits_micro"),
    Column("spent_now", "Spent now", "credits_micro"),
)


async def top_organizations(connection: Any, choice: ReportChoice) -> Report:
    """By requests or by credits spent, as `which` says."""
    window, figure = choice.window, ORDERS[choice.which or "requests"]
    cover = cover_of(window.since, window.until, window.now)
    among = _among(figure)
    found = await connection.fetch(
        _TOP.format(among=among, figure=figure, exact=_EXACT_WEEKS if window.grain == "week" else _EXACT_WINDOW),
        *(cover, window.since, window.until, choice.organization.id if choice.organization else None, window.grain),
        choice.limit + 1,
    )
    rows: list[tuple[Any, ...]] = [
        (*_who(row), row["requests"], row["errors"], percent(row["errors"], row["requests"]), row["refused"], row["cost_micro"])
        for row in found[: choice.limit]
    ]  # fmt: skip
    place = 2 if figure == "requests" else 6
    return Report(
        slug="top-organizations",
        title="Top organizations",
        sentence=f"Usage of each organization {window.words}, from sums of usage.{_left_out(found, cover)}"
        f" {await up_to(connection, choice)}",
        columns=_COLUMNS_TOP,
        rows=tuple(rows),
        filters=tuple(log_filters(choice, organization=row[0].detail) for row in rows),
        series=Chart(
            tuple(row[0].name for row in rows[:20]),
            (Line(_COLUMNS_TOP[place].name, _COLUMNS_TOP[place].kind, tuple(row[place] for row in rows[:20])),),
        ),
        more=len(found) > choice.limit,
    )


async def fading_organizations(connection: Any, choice: ReportChoice) -> Report:
    """The last seven whole days against the seven before them; most lost requests first."""
    until = floor(choice.window.now, "day")
    middle = until - FADING_DAYS
    since = middle - FADING_DAYS
    cover = cover_of(since, middle, choice.window.now)
    among = _among("requests")
    found = await connection.fetch(
        _FADING.format(among=among),
        *(cover, since, middle, choice.organization.id if choice.organization else None, until),
        choice.limit + 1,
    )
    rows: list[tuple[Any, ...]] = [
        (*_who(row), row["before"], row["now"], change_percent(row["now"], row["before"]), row["spent_before"], row["spent_now"])
        for row in found[: choice.limit]
    ]  # fmt: skip
    return Report(
        slug="fading-organizations",
        title="Fading organizations",
        sentence=f"Requests from {middle:%Y-%m-%d} to {until:%Y-%m-%d} (UTC, not included) against the seven days before, where"
        f" they are fewer, from sums of usage.{_left_out(found, cover)}",
        columns=_COLUMNS_FADING,
        rows=tuple(rows),
        filters=tuple(
            {"organization": row[0].detail, "from": since.isoformat(), "to": until.isoformat()} for row in rows
        ),
        series=Chart(
            tuple(row[0].name for row in rows[:20]),
            tuple(
                Line(name, "count", tuple(row[place] for row in rows[:20]))
                for name, place in (("before", 2), ("now", 3))
            ),
        ),
        more=len(found) > choice.limit,
    )


def cover_of(since: datetime, until: datetime, now: datetime) -> str:
    """The grain of `organization_usage` that covers a window with few rows of each organization, and is still kept."""
    if until - since <= 2 * DAY and since > now - _DAYS_KEPT:
        return "day"
    return "week" if until - since <= _LONGEST_BY_WEEKS and since > now - _WEEKS_KEPT else "month"


def _who(row: Any) -> tuple[Named, Named | None]:
    plan = Named(row["plan_id"], row["plan"], row["plan_slug"]) if row["plan_id"] else None
    return Named(row["id"], row["name"], row["slug"]), plan


def _among(figure: str) -> str:
    return _AMONG.format(candidates=_CANDIDATES.format(figure=figure, candidates=CANDIDATES), count=CANDIDATES)


def _left_out(found: list[Any], cover: str) -> str:
    if not found or not found[0]["more"]:
        return ""
    return f" Compared are the first {CANDIDATES} of each {cover}; all others had at most {found[0]['least']} each."
