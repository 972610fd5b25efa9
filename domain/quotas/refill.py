"""After Redis has lost its memory: what the usage rollups say of a day or a month, so that a spent quota stays spent."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

from domain.quotas.allowance import Allowance

UsedSince = Callable[[UUID, UUID | None, UUID | None, UUID | None, datetime], Awaitable[int | None]]
"""(organization, key, service, operation, since) -> requests admitted since then; None: it can't be read now.

A None dimension means all of it. It need not be up to date to the second: live workers tell what they spent last.
"""


async def read_refill(allowance: Allowance, start: int, used: UsedSince) -> int | None:
    """Requests in the window that began at `start` (Unix seconds); None if the rollups can't be read."""
    limit, since = allowance.limit, datetime.fromtimestamp(start, UTC)
    key_id = allowance.key_id if limit.scope == "key" else None
    return await used(allowance.account.organization_id, key_id, limit.service_id, limit.operation_id, since)
