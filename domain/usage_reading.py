"""What an organization has used: the rollups, and the rows of request_log that the rollups do not hold yet.

The two together are exact for everything that is stored, which is about 0.1 s behind the requests: `usage_unfolded` names
the batches between them, and each statement sees both at one moment.
"""

import logging
from datetime import UTC, date, datetime, timedelta
from functools import partial
from uuid import UUID

import asyncpg

from domain.databases import AWAY
from domain.quotas.costs import CREDITS, QUOTA
from domain.quotas.refill import Question, UsedSince
from domain.snapshots import NO_ID

logger = logging.getLogger("paid_endpoint.usage")

_MINUTES_KEPT, _HOURS_KEPT = timedelta(hours=47), timedelta(days=89)
"""A little less than what `domain.ingesting.folding` keeps, so that nobody counts on a row that goes in this moment."""

MOST = 10**15
"""No figure is larger: what Redis's Lua counts exactly."""

READING_SECONDS = 2
FAULTS = AWAY

# They read little, which no planner can know: it would start parallel workers each time, which take a hundred times as long. A
# function that no parallel plan may have, anywhere in the statement, hinders that. What nobody reads is not run.
SERIAL = "with serial as (select set_config('jit', 'off', true))"
_TODAY = f"""
{SERIAL}
select (select coalesce(sum(requests), 0) from usage_rollup
         where organization_id = $1 and grain = 'day' and bucket = $2)::bigint
     + (select count(*) from usage_unfolded u join request_log r on r.created_at = u.stored_at
         where r.organization_id = $1 and r.at >= $2 and r.at < $2 + interval '1 day'
           and r.at >= (select min(first_at) from usage_unfolded))
"""

# One branch for each grain: as a join with their bounds, the planner reads all rollups of the organization.
_ROLLUPS = """
  from (select * from usage_rollup where organization_id = $1 and grain = 'minute' and bucket >= $5 and bucket < $6
        union all
        select * from usage_rollup where organization_id = $1 and grain = 'hour' and bucket >= $6 and bucket < $7
        union all
        select * from usage_rollup where organization_id = $1 and grain = 'day' and bucket >= $7) as r
"""
_UNFOLDED = """
  from usage_unfolded u join request_log r
    on r.created_at = u.stored_at and r.organization_id = $1 and r.at >= $8
   and r.at >= (select min(first_at) from usage_unfolded) and r.outcome <> 'refused'
"""
# Rows that stand in one of the two above, but of requests that had not ended when it was asked.
_LATER = "from request_log r {joins} {which} and r.organization_id = $1 and r.at >= $9 and r.outcome <> 'refused'"
_WHICH = """
 where ($2::uuid is null or r.key_id = $2) and ($3::uuid is null or r.service_id = $3)
   and ($4::uuid is null or r.operation_id = $4)
"""
_REQUESTS = f"""
{SERIAL}
select greatest((select coalesce(sum(r.requests - r.refused), 0) {_ROLLUPS} {_WHICH})
              + (select count(*) {_UNFOLDED} {_WHICH})
              - (select count(*) {_LATER.format(joins="", which=_WHICH)}), 0)::bigint
"""
_CREDITS = f"""
{SERIAL}
select least(greatest((select coalesce(sum(r.cost_micro), 0) {_ROLLUPS} {_WHICH})
                    + (select coalesce(sum(r.cost_micro), 0) {_UNFOLDED} {_WHICH})
                    - (select coalesce(sum(r.cost_micro), 0) {_LATER.format(joins="", which=_WHICH)}), 0), {MOST})::bigint
"""

# What an operation takes and costs: the plan's word, then its own; the default operation, and one that is gone, takes 1.
_TERMS = """
  left join operation o on o.id = r.operation_id
  left join unnest($10::uuid[], $11::bigint[]) as plan_cost (id, units) on plan_cost.id = r.operation_id
  left join unnest($12::uuid[], $13::bigint[]) as plan_price (id, micro) on plan_price.id = r.operation_id
"""
_TAKES = "coalesce(plan_cost.units, o.quota_cost, 1)"
# Requests paid for with credits took no units. Rollups know only what was paid in all: so many requests as it buys now.
_PAID = "coalesce(r.cost_micro / nullif(coalesce(plan_price.micro, o.price_micro), 0), 0)"
UNITS_BY_OPERATION = f"""
select service_id, operation_id, sum(requests)::bigint as requests, least(sum(units), {MOST})::bigint as units from (
    select r.service_id, r.operation_id, greatest(r.requests - r.refused - {_PAID}, 0) as requests,
           greatest(r.requests - r.refused - {_PAID}, 0)::numeric * {_TAKES} as units
    {_ROLLUPS} {_TERMS} {_WHICH}
    union all
    select coalesce(r.service_id, '{NO_ID}'), coalesce(r.operation_id, '{NO_ID}'), 1, {_TAKES}
    {_UNFOLDED} {_TERMS} {_WHICH} and r.cost_micro = 0
    union all
    select coalesce(r.service_id, '{NO_ID}'), coalesce(r.operation_id, '{NO_ID}'), -1, -{_TAKES}
    {_LATER.format(joins=_TERMS, which=_WHICH)} and r.cost_micro = 0) as parts
 group by service_id, operation_id
"""
_UNITS = f"{SERIAL} select least(greatest(coalesce(sum(units), 0), 0), {MOST})::bigint from ({UNITS_BY_OPERATION}) as operations"


async def requests_today(database: "asyncpg.Pool", organization_id: UUID, day: date) -> int | None:
    """Requests of the UTC day, refused ones too; None if they can't be read."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return await _count(database, _TODAY, organization_id, midnight)


async def used(database: "asyncpg.Pool", question: Question) -> int | None:
    """What limits of a unit count since then: requests that we did not refuse, the units that they took, or what was charged.

    Never too few of what is stored: `since` is exact to the minute for two days, to the hour for 90 days, then to the
    day, and is rounded down. Units are counted at what operations take now. A request that was paid for with credits
    took none; where such and others of one operation share a rollup and its price has changed since, their numbers
    are an estimate. Requests that end after `until` are left out. None if it can't be read.
    """
    statement = {QUOTA: _UNITS, CREDITS: _CREDITS}.get(question.unit, _REQUESTS)
    return await _count(database, statement, *parameters_of(question))


def parameters_of(question: Question) -> list[object]:
    """What the statements here about a question need."""
    organization_id, key_id, service_id, operation_id, since, until, unit, quota_costs, prices = question
    now = datetime.now(UTC)
    asked: list[object] = [organization_id, key_id, service_id, operation_id, *_bounds(since.astimezone(UTC), now)]
    asked += [since, now + timedelta(days=1) if until is None else until]
    if unit == QUOTA:
        asked += [list(quota_costs), list(quota_costs.values()), list(prices), list(prices.values())]
    return asked


def _bounds(since: datetime, now: datetime) -> tuple[datetime, datetime, datetime]:
    """From where minutes, hours and days are summed; each range ends where the next begins."""
    minute = since.replace(second=0, microsecond=0)
    hour = minute.replace(minute=0)
    day = hour.replace(hour=0)
    if since < now - _HOURS_KEPT:
        return day, day, day
    next_day = day if day == since else day + timedelta(days=1)
    if since < now - _MINUTES_KEPT:
        return hour, hour, next_day
    next_hour = hour if hour == since else hour + timedelta(hours=1)
    return minute, next_hour, max(next_day, next_hour)


async def _count(database: "asyncpg.Pool", statement: str, *parameters: object) -> int | None:
    try:
        count: int = await database.fetchval(statement, *parameters, timeout=READING_SECONDS)
    except FAULTS as fault:
        logger.warning("usage can't be read: %s", fault)
        return None
    return count


def requests_since(database: "asyncpg.Pool") -> UsedSince:
    """`used` on this database, as `domain.quotas.refill` asks for it."""
    return partial(used, database)
