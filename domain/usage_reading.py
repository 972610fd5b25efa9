"""What an organization has used, read from the rollups."""

import logging
from datetime import UTC, date, datetime
from uuid import UUID

import asyncpg

from domain.quotas.refill import UsedSince

logger = logging.getLogger("paid_endpoint.usage")

_TODAY = """
select coalesce(sum(requests), 0)::bigint from usage_rollup
where organization_id = $1 and grain = 'day' and bucket = $2
"""


async def requests_today(database: "asyncpg.Pool", organization_id: UUID, day: date) -> int | None:
    """Requests of the UTC day that are in the rollups (they lag by about a second); None if they can't be read."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    try:
        count: int = await database.fetchval(_TODAY, organization_id, midnight, timeout=2)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
        logger.warning("usage can't be read: %s", fault)
        return None
    return count


_ADMITTED = """
select (
    select coalesce(sum(requests), 0) from usage_rollup
    where organization_id = $1 and grain = 'hour' and bucket >= date_trunc('hour', $5::timestamptz, 'UTC')
        and ($2::uuid is null or key_id = $2) and ($3::uuid is null or service_id = $3)
        and ($4::uuid is null or operation_id = $4)
)::bigint - (
    select count(*) from request_log
    where organization_id = $1 and at >= date_trunc('hour', $5::timestamptz, 'UTC') and outcome = 'refused'
        and ($2::uuid is null or key_id = $2) and ($3::uuid is null or service_id = $3)
        and ($4::uuid is null or operation_id = $4)
)
"""


def requests_since(database: "asyncpg.Pool") -> UsedSince:
    """A reader of admitted requests for quotas that Redis has lost; see `domain.quotas.refill`.

    Whole hours, and refusals older than the request log count as admitted: never too few, but for what the ingester has
    still to write.
    """

    async def read(
        organization_id: UUID, key_id: UUID | None, service_id: UUID | None, operation_id: UUID | None, since: datetime
    ) -> int | None:
        try:
            count: int = await database.fetchval(
                _ADMITTED, organization_id, key_id, service_id, operation_id, since, timeout=2
            )
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
            logger.warning("a lost quota can't be read from the rollups: %s", fault)
            return None
        return max(0, count)

    return read
