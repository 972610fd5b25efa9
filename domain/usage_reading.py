"""What an organization has used, read from the rollups."""

import logging
from datetime import UTC, date, datetime
from uuid import UUID

import asyncpg

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
