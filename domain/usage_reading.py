"""What an organization has used: the rollups, and the rows of request_log that the rollups do not hold yet.

The two together are exact for everything that is stored, which is about 0.1 s behind the requests: `usage_unfolded` names
the batches between them, and each statement sees both at one moment.
"""

import logging
from datetime import UTC, date, datetime, timedelta
from functools import partial
from uuid import UUID

import asyncpg

from domain.quotas.refill import UsedSince

logger = logging.getLogger("paid_endpoint.usage")

_MINUTES_KEPT, _HOURS_KEPT = timedelta(hours=47), timedelta(days=89)
"""A little less than what `domain.ingesting.folding` keeps, so that nobody counts on a row that goes in this moment."""

_READING_SECONDS = 2
_FAULTS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

_TODAY = """
select (select coalesce(sum(requests), 0) from usage_rollup
         where organization_id = $1 and grain = 'day' and bucket = $2)::bigint
     + (select count(*) from usage_unfolded u join request_log r on r.created_at = u.stored_at
         where r.organization_id = $1 and r.at >= $2 and r.at < $2 + interval '1 day'
           and r.at >= (select min(first_at) from usage_unfolded))
"""

_USED = """
select (select coalesce(sum(requests - refused), 0)
          from (values ('minute', $5::timestamptz, $6::timestamptz), ('hour', $6, $7), ('day', $7, 'infinity'))
                 as part (grain, first, next)
          join usage_rollup r
            on r.organization_id = $1 and r.grain = part.grain and r.bucket >= part.first and r.bucket < part.next
         where ($2::uuid is null or key_id = $2) and ($3::uuid is null or service_id = $3)
           and ($4::uuid is null or operation_id = $4))::bigint
     + (select count(*) from usage_unfolded u join request_log r on r.created_at = u.stored_at
         where r.organization_id = $1 and r.at >= $8 and r.at >= (select min(first_at) from usage_unfolded)
           and r.outcome <> 'refused'
           and ($2::uuid is null or r.key_id = $2) and ($3::uuid is null or r.service_id = $3)
           and ($4::uuid is null or r.operation_id = $4))
"""


async def requests_today(database: "asyncpg.Pool", organization_id: UUID, day: date) -> int | None:
    """Requests of the UTC day, refused ones too; None if they can't be read."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return await _count(database, _TODAY, organization_id, midnight)


async def used(
    database: "asyncpg.Pool",
    organization_id: UUID,
    key_id: UUID | None,
    service_id: UUID | None,
    operation_id: UUID | None,
    since: datetime,
) -> int | None:
    """Admitted requests since then: what limits count, so not those that we refused. None if they can't be read.

    Never too few of what is stored: `since` is exact to the minute for two days, to the hour for 90 days, then to the
    day, and is rounded down.
    """
    minutes, hours, days = _bounds(since.astimezone(UTC), datetime.now(UTC))
    return await _count(database, _USED, organization_id, key_id, service_id, operation_id, minutes, hours, days, since)


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
        count: int = await database.fetchval(statement, *parameters, timeout=_READING_SECONDS)
    except _FAULTS as fault:
        logger.warning("usage can't be read: %s", fault)
        return None
    return count


def requests_since(database: "asyncpg.Pool") -> UsedSince:
    """`used` on this database, as `domain.quotas.refill` asks for it."""
    return partial(used, database)
