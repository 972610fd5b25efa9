"""Summaries of rollups that a test wrote itself, as folding would have made them."""

from typing import Any
from uuid import UUID

from domain.ingesting.grains import EVERY

_FILL = """
insert into usage_summary (organization_id, key_id, service_id, operation_id, bucket, grain, status_class, requests,
                           cost_micro)
select r.organization_id, $2, s.service_id, s.operation_id, r.bucket, r.grain, r.status_class, sum(r.requests)::bigint,
       sum(r.cost_micro)::bigint
  from usage_rollup r cross join lateral (values
       (r.service_id, r.operation_id), (r.service_id, $2), ($2, $2)) as s (service_id, operation_id)
 where r.organization_id = $1 and r.grain in ('hour', 'day') group by 1, 3, 4, 5, 6, 7
union all
select organization_id, key_id, $2, $2, date_trunc('week', bucket, 'UTC'), 'week', 0, sum(requests)::bigint,
       sum(cost_micro)::bigint
  from usage_rollup where organization_id = $1 and grain = 'day' group by 1, 2, 5
"""


async def summarise(pool: Any, organization_id: UUID) -> None:
    """Write what the organization's rollups sum up to; it must have no summaries yet."""
    await pool.execute(_FILL, organization_id, EVERY)
