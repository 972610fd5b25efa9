"""Jobs of asynchronous operations as months leave them: one in fifty failed, few are open, of the old no result is kept."""

from datetime import datetime
from typing import Any
from uuid import UUID

JOBS = 50_000

OF_MANY = """
insert into async_job (id, created_at, organization_id, key_id, service_id, operation_id, request_id, status, reason, error,
                       progress, deadline, started_at, ended_at, price_micro, charged_micro, counted, method, target, due_at,
                       attempts, working, last_error, result_type, result)
select md5('job' || i)::uuid, at, {organization}, {key}, {service}, {operation}, md5('jobs request' || i)::uuid, status,
       case when status = 'failed' then (array['upstream_failed', 'overdue', 'cancelled'])[1 + i / 50 % 3] else '' end,
       case when status = 'failed' then 'There is no such place.' else '' end, case when status = 'completed' then 100 else 40 end,
       at + interval '1 hour', case when i <> 3 then at end, case when i > 3 then at + interval '3 min' end, 0, 0, true, 'POST',
       '/reports/' || i, case when i = 3 then now() + interval '4 min' end, 1, i < 3, case when i = 3 then 'It answered 503.' else '' end,
       case when status = 'completed' then 'application/json' else '' end, case when status = 'completed' and i < 500 then '{{}}'::bytea end
  from generate_series(1, {count}) i,
       lateral (select now() - i * {step}::interval as at, case when i = 3 then 'pending' when i < 3 then 'processing'
                       when i % 50 = 0 then 'failed' else 'completed' end as status) x
"""
"""To be formatted with SQL for the organization, key, service and operation of job i, how many, and the time between two."""


async def write_jobs(connection: Any, organization_id: UUID, key_ids: list[UUID], call: Any, now: datetime) -> None:
    """An organization's JOBS, each asked for with one of the keys, of one operation, which is asynchronous then."""
    statement = OF_MANY.format(
        organization="$1::uuid", key="($2::uuid[])[1 + i % cardinality($2)]", service="$3::uuid", operation="$4::uuid",
        count="$5::int", step="interval '2 min'",
    ).replace("now()", "$6::timestamptz")  # fmt: skip
    values = (organization_id, key_ids, call.service_id, call.operation_id, JOBS, now)
    await connection.execute(statement, *values, timeout=600)
    await connection.execute("update operation set asynchronous = true where id = $1", call.operation_id)
