"""Who may be close to a limit: every live subscription's limits against a row or three of its organization's usage.

A limit's window lies within the day, or within this month and the last one, so these hold at least what the window does; and an
organization at least what each of its keys used, each service and each operation. Of a quota, each request may have taken
as many units as the dearest operation that it counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.billing_periods import counted_from
from domain.lifecycle import LIVE
from domain.quotas.periods import window_begin
from domain.reports.shapes import Named
from domain.snapshots import NO_ID

MOST = 200
"""Of limits in requests, and of quotas: units of these would crowd out the others."""
LEAST = 0.2
"""Who cannot have used this share of the smallest limit that there is of its kind is not looked at."""

_SPEC = "id uuid, name text, amount bigint, period text, scope text, shadow boolean, service_id uuid, operation_id uuid, unit text"
_NAMES = "l.name, l.amount, l.period, l.scope, l.shadow, l.service_id, l.operation_id, l.unit"
_COUNTED = "(l.service_id is null or o.service_id = l.service_id) and (l.operation_id is null or o.id = l.operation_id)"
_HEAVIEST = f"""
    case when l.unit <> 'quota' then 1 else (
        select greatest(1, max(coalesce(c.units, o.quota_cost))) from operation o left join ({{costs}}) as c on c.id = o.id
         where {_COUNTED}) end::float8 as heaviest
"""
_OF_PLAN = _HEAVIEST.format(
    costs="select operation_id as id, quota_cost as units from plan_price where plan_id = l.plan_id"
)
_OF_VERSION = _HEAVIEST.format(
    costs="select key::uuid as id, value::bigint as units from jsonb_each_text(v.terms->'quota_costs')"
)
_CLOSE = f"""
    select u.organization_id, u.plan_id, u.plan_version_id, u.state, u.started_at, u.trial_ends_at, u.period_start, u.period_end, {_NAMES},
           coalesce(o.amount, l.amount) as holds, coalesce(o.shadow, l.shadow) as only_counts,
           case when l.period = 'month' then u.months else u.today end * l.heaviest / coalesce(o.amount, l.amount) as at_most
      from held u join terms l on l.plan_id = u.plan_id and l.version_id = coalesce(u.plan_version_id, '{NO_ID}')
      left join limit_override o on o.organization_id = u.organization_id and o.limit_name = l.name
       and (o.until is null or o.until > $4)
     where {{which}} order by at_most desc, u.organization_id, l.name limit $5
"""
_ON_QUOTAS = "(select billing_mode = 'quota' from organization where id = u.organization_id)"
# The limits of each plan, and of each version that a live subscription still has.
_CANDIDATES = f"""
with terms as materialized (
    select l.plan_id, '{NO_ID}'::uuid as version_id, {_NAMES}, {_OF_PLAN} from plan_limit l
     where l.period in ('hour', 'day', 'month')
    union all
    select v.plan_id, v.id, {_NAMES}, {_OF_VERSION} from plan_version v, jsonb_to_recordset(v.terms->'limits') as l ({_SPEC})
     where l.period in ('hour', 'day', 'month')
       and exists (select 1 from subscription s where s.plan_version_id = v.id and s.state in {LIVE})
), least as materialized (
    select {LEAST} * least(min(terms.amount / heaviest) filter (where period <> 'month'), min(other.amount) / max(heaviest)) as today,
           {LEAST} * least(min(terms.amount / heaviest) filter (where period = 'month'), min(other.amount) / max(heaviest)) as months
      from terms, (select min(amount) from limit_override) as other (amount)
), used as materialized (
    select * from (
        select organization_id, coalesce(max(used) filter (where bucket = $1 and grain = 'day'), 0) as today,
               coalesce(max(used) filter (where bucket = $2 and grain = 'month'), 0)
               + coalesce(max(used) filter (where bucket = $6 and grain = 'month'), 0) as months
          from (select organization_id, grain, bucket, requests - refused as used from organization_usage
                 where ((grain = 'day' and bucket = $1) or (grain = 'month' and bucket in ($2, $6)))
                   and ($3::uuid is null or organization_id = $3)) as u
         group by 1) as u
     where today >= (select today from least) or months >= (select months from least)
), held as materialized (
    select u.*, s.plan_id, s.plan_version_id, s.state, s.started_at, s.trial_ends_at, s.period_start, s.period_end
      from used u cross join lateral (
           select * from subscription where organization_id = u.organization_id and state in {LIVE} offset 0) as s
), close as materialized (
    ({_CLOSE.format(which="l.unit = 'requests'")}) union all
    ({_CLOSE.format(which=f"l.unit = 'quota' and {_ON_QUOTAS}")})
)
select c.*, g.name as organization, g.slug, p.name as plan, p.slug as plan_slug
  from close c join organization g on g.id = c.organization_id join plan p on p.id = c.plan_id
 order by at_most desc, c.organization_id, c.name
"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A limit of an organization with what holds for it; its window began at `since`. `at_most`: no larger share is used.

    `plan_version_id` is that of older terms; None where the plan's own hold.
    """

    organization: Named
    plan: Named
    plan_version_id: UUID | None
    name: str
    amount: int
    period: str
    scope: str
    unit: str
    shadow: bool
    service_id: UUID | None
    operation_id: UUID | None
    since: datetime
    at_most: float


async def find_candidates(connection: Any, now: datetime, organization_id: UUID | None) -> list[Candidate]:
    """At most MOST of each unit, those first of which most can be used."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    last_month = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    rows = await connection.fetch(_CANDIDATES, today, last_month, organization_id, now, MOST, today.replace(day=1))
    return [_candidate(row, now) for row in rows]


def at_most_of_others(found: Sequence[Candidate]) -> float | None:
    """No larger share is used of what is not among the candidates; None: all are."""
    last = [part[-1].at_most for unit in ("requests", "quota") if len(part := _of(found, unit)) >= MOST]
    return max(last, default=None)


def _of(found: Sequence[Candidate], unit: str) -> list[Candidate]:
    return [one for one in found if one.unit == unit]


def _candidate(row: Any, now: datetime) -> Candidate:
    paid_from = row["started_at"] if row["state"] == "trialing" else row["trial_ends_at"] or row["started_at"]
    anchor = counted_from(paid_from, row["period_start"], row["period_end"])
    began = window_begin(row["period"], anchor.timestamp(), now.timestamp())
    return Candidate(
        organization=Named(row["organization_id"], row["organization"], row["slug"]),
        plan=Named(row["plan_id"], row["plan"], row["plan_slug"]),
        plan_version_id=row["plan_version_id"],
        name=row["name"],
        amount=row["holds"],
        period=row["period"],
        scope=row["scope"],
        unit=row["unit"],
        shadow=row["only_counts"],
        service_id=row["service_id"],
        operation_id=row["operation_id"],
        since=datetime.fromtimestamp(began, UTC),
        at_most=row["at_most"],
    )
