"""What limits in shadow would have refused if they were enforced, by limit and organization, from `refusal_summary`."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from domain.ingesting.grains import EVERY
from domain.ingesting.refusals import SHADOW
from domain.reports.shapes import Chart, Column, Fact, Line, Named, Report, ReportChoice
from domain.reports.words import log_filters, percent, read_names, up_to

MOST_SUMS = 200_000
"""Sums of organizations that are looked at, the newest."""

_WHERE = f"refusal = '{SHADOW}' and grain = $1 and bucket >= $2 and bucket < $3"
_PARTS = f"""
select organization_id, limit_id, bucket, requests from refusal_summary
 where {_WHERE} and organization_id <> '{EVERY}' and ($4::uuid is null or organization_id = $4)
 order by bucket desc limit {MOST_SUMS}
"""
_BY_LIMIT = f"""
select organization_id, limit_id, sum(requests)::bigint as requests from ({_PARTS}) as part
 group by 1, 2 order by requests desc, 1, 2 limit $5
"""
_SEEN = f"select count(*) as seen, min(bucket) as oldest, sum(requests)::bigint as requests from ({_PARTS}) as part"
_BY_TIME = f"""
select date_trunc($5, bucket, 'UTC') as bucket, sum(requests)::bigint as requests from refusal_summary
 where organization_id = coalesce($4, '{EVERY}'::uuid) and {_WHERE} group by 1
"""
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
    grain = "hour" if window.grain == "hour" else "day"
    bounds = (grain, window.since, window.until, choice.organization.id if choice.organization else None)
    found = await connection.fetch(_BY_LIMIT, *bounds, choice.limit + 1)
    seen = await connection.fetchrow(_SEEN, *bounds)
    by_time = dict(await connection.fetch(_BY_TIME, *bounds, window.grain))
    organizations = list({row["organization_id"] for row in found})
    admitted = dict(await connection.fetch(_ADMITTED, *bounds[:3], organizations))
    limits = await _limits(connection, {row["limit_id"] for row in found})
    names = await read_names(connection, organizations)
    rows, filters = [], []
    for row in found[: choice.limit]:
        name, terms, plan = limits.get(row["limit_id"], ("a deleted limit", None, None))
        organization = names.of("organization", row["organization_id"])
        share = percent(row["requests"], admitted.get(row["organization_id"]))
        rows.append((name, terms, plan, organization, row["requests"], share))
        filters.append(log_filters(choice, organization=organization.detail))
    cut = seen["seen"] >= MOST_SUMS
    return Report(
        slug="shadow-limits",
        title="Shadow limits",
        sentence="Requests that were admitted although a limit in shadow mode had no room for them, once for each such limit,"
        f" from sums that began with this version, {window.words}."
        + (f" Organizations are told back to {seen['oldest']:%Y-%m-%d %H:%M} UTC." if cut else "")
        + f" {await up_to(connection, choice)}",
        columns=_COLUMNS,
        rows=tuple(rows),
        filters=tuple(filters),
        series=Chart(
            window.buckets, (Line("would_refuse", "count", tuple(by_time.get(at, 0) for at in window.buckets)),)
        ),
        facts=(Fact("would_refuse", "Would be refused", "count", sum(by_time.values())),),
        more=len(found) > choice.limit,
    )


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
