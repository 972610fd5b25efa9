"""What limits in shadow would have refused if they were enforced, by limit and organization, from `refusal_summary`."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from domain.ingesting.grains import EVERY
from domain.ingesting.refusals import SHADOW
from domain.reports import sums
from domain.reports.shapes import Chart, Column, Fact, Line, Named, Report, ReportChoice
from domain.reports.words import log_filters, percent, read_names, up_to

MOST_SUMS = 200_000
"""Sums of organizations that are looked at, the newest."""
CANDIDATES = 300
"""Limits of organizations that are summed up exactly, by days or weeks around the window, as in `organizations`."""
_COVER = {"hour": "day", "day": "week", "week": "week"}

_CANDIDATES = f"""
select organization_id, limit_id, sum(requests)::bigint as most, min(bucket) as oldest, sum(count(*)) over () as seen from (
    select organization_id, limit_id, bucket, requests from refusal_summary
     where refusal = '{SHADOW}' and organization_id <> '{EVERY}' and grain = $5
       and bucket >= date_trunc($5, $2::timestamptz, 'UTC') and bucket < $3 and ($4::uuid is null or organization_id = $4)
     order by bucket desc limit {MOST_SUMS}) as part
 group by 1, 2 order by most desc, 1, 2 limit {CANDIDATES}
"""
_BY_LIMIT = f"""
with candidate as materialized ({_CANDIDATES})
select c.organization_id, c.limit_id, c.seen, r.requests, (select min(oldest) from candidate) as oldest,
       (select min(most) from candidate) as least, (select count(*) from candidate) as candidates
  from candidate c cross join lateral (
       select sum(requests)::bigint as requests from refusal_summary
        where organization_id = c.organization_id and grain = $1 and bucket >= $2 and bucket < $3
          and refusal = '{SHADOW}' and limit_id = c.limit_id offset 0) as r
 where r.requests > 0 order by r.requests desc, 1, 2 limit $6
"""
_BY_TIME = """
select bucket, sum(requests)::bigint as requests from refusal_summary
 where {whose} and refusal = 'shadow' and grain = $1 and bucket >= $2 and bucket < $3 group by 1
"""
_ALL, _ONE = f"$4::uuid is null and organization_id = '{EVERY}'", "organization_id = $4"
_ADMITTED = f"""
select organization_id, sum(requests - refused)::bigint as admitted
  from unnest($4::uuid[]) as o (id) cross join lateral (
       select organization_id, requests, refused from usage_summary
        where organization_id = o.id and grain = $1 and key_id = '{EVERY}' and service_id = '{EVERY}'
          and operation_id = '{EVERY}' and bucket >= $2 and bucket < $3 offset 0) as r
 group by 1
"""
_LIMITS = """
select l.id, l.name, l.amount, l.period, l.scope, l.shadow, p.id as plan_id, p.slug, p.name as plan
  from plan_limit l join plan p on p.id = l.plan_id where l.id = any($1)
"""
_COLUMNS = (
    Column("limit", "Limit", "text"),
    Column("terms", "Amount", "text"),
    Column("plan", "Plan", "plan"),
    Column("organization", "Organization", "organization"),
    Column("would_refuse", "Would be refused", "count"),
    Column("share", "Of its admitted", "percent"),
)


async def shadow_limits(connection: Any, choice: ReportChoice) -> Report:
    """Most first. A request over two shadow limits counts for each."""
    window = choice.window
    bounds = (window.grain, window.since, window.until, choice.organization.id if choice.organization else None)
    found = await connection.fetch(_BY_LIMIT, *bounds, _COVER[window.grain], choice.limit + 1)
    by_time = dict(await connection.fetch(_BY_TIME.format(whose=_ONE if choice.organization else _ALL), *bounds))
    organizations = list({row["organization_id"] for row in found})
    admitted = dict(await connection.fetch(_ADMITTED, sums.grain_of_one(choice), *bounds[1:3], organizations))
    limits = await _limits(connection, {row["limit_id"] for row in found})
    names = await read_names(connection, organizations)
    rows, filters = [], []
    for row in found[: choice.limit]:
        name, terms, plan = limits.get(row["limit_id"], ("a deleted limit", None, None))
        organization = names.of("organization", row["organization_id"])
        share = percent(row["requests"], admitted.get(row["organization_id"]))
        rows.append((name, terms, plan, organization, row["requests"], share))
        filters.append(log_filters(choice, organization=organization.detail))
    return Report(
        slug="shadow-limits",
        title="Shadow limits",
        sentence="Requests that were admitted although a limit in shadow mode had no room for them, once for each such limit,"
        f" from sums that began with this version, {window.words}."
        f"{_left_out(found)} {await up_to(connection, choice)}",
        columns=_COLUMNS,
        rows=tuple(rows),
        filters=tuple(filters),
        series=Chart(
            window.buckets, (Line("would_refuse", "count", tuple(by_time.get(at, 0) for at in window.buckets)),)
        ),
        facts=(Fact("would_refuse", "Would be refused", "count", sum(by_time.values())),),
        more=len(found) > choice.limit,
    )


def _left_out(found: list[Any]) -> str:
    if not found:
        return ""
    words = ""
    if found[0]["candidates"] >= CANDIDATES:
        words = f" Compared are the {CANDIDATES} with most; all others had at most {found[0]['least']} each."
    if found[0]["seen"] >= MOST_SUMS:
        words += f" Organizations are told back to {found[0]['oldest']:%Y-%m-%d %H:%M} UTC."
    return words


async def _limits(connection: Any, ids: Iterable[UUID]) -> dict[UUID, tuple[str, str | None, Named | None]]:
    """Name, terms in words, and plan of the limits that plans have now."""
    return {
        row["id"]: (
            row["name"],
            f"{row['amount']}/{row['period']}" + (" per key" if row["scope"] == "key" else ""),
            Named(row["plan_id"], row["plan"], row["slug"]),
        )
        for row in await connection.fetch(_LIMITS, list(ids))
    }
