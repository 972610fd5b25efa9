"""For how many days an organization's request logs are kept: everybody's, or its plan's if that is more."""

from typing import Any
from uuid import UUID

from domain.lifecycle import LIVE

_OF_PLAN = f"""
select max(p.log_days) from subscription s join plan p on p.id = s.plan_id
 where s.organization_id = $1 and s.state in {LIVE}
"""


async def kept_days(connection: Any, organization_id: UUID, everybody: int) -> int:
    """Days; `everybody` is LOG_RETENTION_DAYS."""
    return max(everybody, await connection.fetchval(_OF_PLAN, organization_id) or 0)
