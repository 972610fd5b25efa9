"""What an operator looks at first: how today goes, and what needs somebody. Small questions, each along an index."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.alerts.reading import count_awake
from domain.audit_chain.standing import read_standing
from domain.histogram import BUCKETS, percentile
from domain.ingesting.grains import EVERY
from domain.reports.health import unwell
from domain.reports.limit_pressure import limit_pressure
from domain.reports.shapes import ReportChoice
from domain.reports.windows import DAY, floor, window_of

MOST_COUNTED = 1_000
"""Of what needs somebody; of more, so many and more."""
CLOSE = 80.0
"""Percent of a limit from which on an organization is close to it."""
MOST_CLOSE = 5
TRIALS_WITHIN = timedelta(days=3)

_SUMS = f"organization_id = '{EVERY}' and key_id = '{EVERY}' and service_id = '{EVERY}' and operation_id = '{EVERY}'"
_MINUTES = f"organization_id = '{EVERY}' and key_id = '{EVERY}' and operation_id = '{EVERY}' and grain = 'minute'"
# Whole hours, and the minutes of the one that runs: as far into yesterday as now is into today.
_TRAFFIC = f"""
with part as (
    select requests, errors, refused, cost_micro, latency from usage_summary
     where {_SUMS} and grain = 'hour' and bucket >= $1 and bucket < $2
    union all
    select requests, errors, refused, cost_micro, latency from usage_summary
     where {_MINUTES} and bucket >= $2 and bucket <= $3
)
select coalesce(sum(requests), 0)::bigint as requests, coalesce(sum(errors), 0)::bigint as errors,
       coalesce(sum(refused), 0)::bigint as refused, coalesce(sum(cost_micro), 0)::bigint as spent_micro,
       (select array_agg(n order by place) from (
            select place, sum(u.n)::bigint as n from part, unnest(latency) with ordinality as u (n, place) group by place
        ) as places) as latency
  from part
"""
_OTHER = """
select (select count(*) from organization_milestone where signed_up_at >= $1 and signed_up_at <= $2) as sign_ups,
       (select coalesce(sum(amount_micro), 0)::bigint from credit_entry
         where type <> 'usage' and created_at >= $1 and created_at <= $2 and type in ('purchase', 'bonus')
           and credit = 'credits') as granted_micro
"""
_NEEDS = f"""
select (select count(*) from (select 1 from job_run where state = 'failed' limit {MOST_COUNTED}) as f) as jobs,
       (select count(*) from users u where u.operator_role is not null and u.active and not exists (
            select from totp_factor f where f.user_id = u.id and f.confirmed_at is not null)) as without_factor,
       (select count(*) from (select 1 from subscription where state = 'trialing' and trial_ends_at > $1
           and trial_ends_at <= $2 limit {MOST_COUNTED}) as t) as trials,
       (select count(*) from (select 1 from subscription where state = 'past_due' limit {MOST_COUNTED}) as p) as past_due,
       (select count(*) from (select 1 from organization where state = 'suspended' limit {MOST_COUNTED}) as s) as suspended,
       exists (select from service where enabled) as has_service, exists (select from plan where active) as has_plan,
       exists (select from organization where state <> 'closed') as has_customer
"""


@dataclass(frozen=True, slots=True)
class DayFigures:
    """From midnight (UTC) to a moment. `p95_us` is None without requests; refused ones are part of the errors."""

    requests: int
    errors: int
    refused: int
    p95_us: float | None
    spent_micro: int
    granted_micro: int
    sign_ups: int


@dataclass(frozen=True, slots=True)
class Pressed:
    """An organization that is close to a limit. `used` in percent of it."""

    slug: str
    name: str
    limit: str
    used: float


@dataclass(frozen=True, slots=True)
class Needs:
    """What waits for somebody, counted up to MOST_COUNTED. `alerts`: those for operators that nobody has snoozed. `unwell`: what is late or failed, as part, what, value and state.

    `has_service`, `has_plan`, `has_customer`: whether there is anything to sell, and anybody.
    """

    jobs: int
    without_factor: int
    trials: int
    past_due: int
    suspended: int
    has_service: bool
    has_plan: bool
    has_customer: bool
    alerts: int
    unwell: tuple[tuple[str, str, str, str], ...]
    chain_sound: bool


async def read_day(connection: Any, now: datetime) -> DayFigures:
    """The day of `now`, up to then."""
    midnight, hour = floor(now, "day"), floor(now, "hour")
    traffic = await connection.fetchrow(_TRAFFIC, midnight, hour, now)
    other = await connection.fetchrow(_OTHER, midnight, now)
    latency = traffic["latency"] or [0] * BUCKETS
    return DayFigures(
        requests=traffic["requests"],
        errors=traffic["errors"],
        refused=traffic["refused"],
        p95_us=percentile(latency, 0.95),
        spent_micro=traffic["spent_micro"],
        granted_micro=other["granted_micro"],
        sign_ups=other["sign_ups"],
    )


async def read_today(connection: Any, now: datetime) -> tuple[DayFigures, DayFigures]:
    """Today, and yesterday until the same time."""
    return await read_day(connection, now), await read_day(connection, now - DAY)


async def read_pressed(connection: Any, now: datetime) -> list[Pressed]:
    """Those closest to a limit, the closest first."""
    report = await limit_pressure(connection, ReportChoice(window=window_of("1h", now.astimezone(UTC)), limit=50))
    places = {column.name: place for place, column in enumerate(report.columns)}
    pressed: dict[str, Pressed] = {}
    for row in report.rows:
        organization, used = row[places["organization"]], row[places["used_share"]] or 0.0
        if used >= CLOSE:
            pressed.setdefault(
                organization.detail,
                Pressed(organization.detail, organization.name, row[places["limit"]], used),
            )
    return list(pressed.values())[:MOST_CLOSE]


async def read_needs(connection: Any, now: datetime) -> Needs:
    """What waits for somebody now."""
    row = await connection.fetchrow(_NEEDS, now, now + TRIALS_WITHIN)
    found = tuple((part, what, value, state) for part, what, value, _, state in await unwell(connection, now))
    alerts = await count_awake(connection, now, MOST_COUNTED)
    return Needs(**dict(row), alerts=alerts, unwell=found, chain_sound=(await read_standing(connection)).sound)
