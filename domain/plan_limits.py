"""The limits of a plan as rows: written as a whole, with the services and operations that they name."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from domain.faults import InvalidValue, NotFound
from domain.limit_texts import LimitSpec

_SHORTEST_FIRST = "array_position(array['second', 'minute', 'hour', 'day', 'month', 'concurrent'], l.period), l.name"
_SELECT = f"""
    select l.plan_id, l.name, l.amount, l.period, l.scope, l.shadow, s.slug, o.name, l.unit
    from plan_limit l left join service s on s.id = l.service_id left join operation o on o.id = l.operation_id
    where l.plan_id = any($1) order by {_SHORTEST_FIRST}
"""
# What is counted tells limits apart: under another id nothing that was counted before can be taken for it.
_DELETE = """
    delete from plan_limit where plan_id = $1 and not exists (
        select from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::uuid[])
            as kept (name, period, scope, unit, service_id, operation_id)
        where (kept.name, kept.period, kept.scope, kept.unit)
            = (plan_limit.name, plan_limit.period, plan_limit.scope, plan_limit.unit)
        and kept.service_id is not distinct from plan_limit.service_id
        and kept.operation_id is not distinct from plan_limit.operation_id)
"""
_UPSERT = """
    insert into plan_limit (plan_id, name, period, scope, unit, service_id, operation_id, amount, shadow)
    select $1, * from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::uuid[], $8::bigint[],
        $9::boolean[])
    on conflict on constraint uq_plan_limit_plan_id_name do update
    set amount = excluded.amount, shadow = excluded.shadow
"""


async def limits_of(connection: Any, plan_ids: Sequence[UUID]) -> dict[UUID, tuple[LimitSpec, ...]]:
    """The limits of each of these plans that has any, shortest period first."""
    found: dict[UUID, tuple[LimitSpec, ...]] = {}
    for plan_id, *values in await connection.fetch(_SELECT, plan_ids):
        found[plan_id] = (*found.get(plan_id, ()), LimitSpec(*values))
    return found


async def replace_limits(connection: Any, plan_id: UUID, limits: Sequence[LimitSpec]) -> None:
    """Make these the plan's limits; one that counts the same as before under its name keeps what it has counted.

    Inside the caller's transaction, which holds the plan's row. Raises NotFound for a service or operation that is
    not there; InvalidValue for an operation's name that the service has several times.
    """
    targets = [await target_of(connection, spec, lock=True) for spec in limits]
    kinds = (
        [spec.name for spec in limits],
        [spec.period for spec in limits],
        [spec.scope for spec in limits],
        [spec.unit for spec in limits],
        [service_id for service_id, _ in targets],
        [operation_id for _, operation_id in targets],
    )
    await connection.execute(_DELETE, plan_id, *kinds)
    await connection.execute(
        _UPSERT, plan_id, *kinds, [spec.amount for spec in limits], [spec.shadow for spec in limits]
    )


async def target_of(connection: Any, spec: LimitSpec, *, lock: bool = False) -> tuple[UUID | None, UUID | None]:
    """The service and operation that a limit is on, None where it is on all; `lock` keeps them until the transaction ends.

    Raises NotFound for what is not there; InvalidValue for an operation's name that the service has several times.
    """
    if spec.service is None:
        return None, None
    share = " for key share" if lock else ""
    service_id = await connection.fetchval(f"select id from service where slug = $1{share}", spec.service)
    if service_id is None:
        raise NotFound(f"There is no service {spec.service}, which the limit {spec.name} is on.")
    if spec.operation is None:
        return service_id, None
    rows = await connection.fetch(
        f"select id from operation where service_id = $1 and name = $2{share}", service_id, spec.operation
    )
    if not rows:
        raise NotFound(
            f"The service {spec.service} has no operation {spec.operation}, which the limit {spec.name} is on."
        )
    if len(rows) > 1:
        raise InvalidValue(
            f"The service {spec.service} has {len(rows)} operations named {spec.operation}: a limit is on one of them."
        )
    return service_id, rows[0]["id"]
