"""One limit of a plan put in shadow, where it only counts, or enforced again: for everybody on that plan at once.

Unlike an edit of a plan (`plan_versions`) it pins nobody to what was sold before. Who keeps older terms gets a version of
these in which the same limit, by its id, says the same; nothing else of their terms changes.
"""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from domain.faults import Conflict, NotFound
from domain.lifecycle import LIVE
from domain.plan_terms import terms_to_json
from domain.plan_versions import keep_version, pin_from, terms_of
from domain.snapshots import LimitSnapshot

_LIMITS = """
    select l.id, l.name, l.amount, l.period, l.scope, l.shadow, l.service_id, l.operation_id, l.unit
    from plan_limit l where l.plan_id = $1 order by l.name
"""
_PINNED = f"""
    select plan_version_id, count(*) as subscriptions from subscription
    where plan_id = $1 and plan_version_id is not null and state in {LIVE}
    group by plan_version_id order by plan_version_id
"""
_OVERRIDDEN = f"""
    select count(*) from limit_override v join subscription s on s.organization_id = v.organization_id
    where s.plan_id = $1 and s.state in {LIVE} and v.limit_name = $2 and v.shadow is not null
    and (v.until is null or v.until > now())
"""


@dataclass(frozen=True, slots=True)
class Affected:
    """Whom it concerns: live subscriptions that follow the plan, those on older terms with the limit, and exceptions.

    `overridden`: organizations whose own override says whether it is only counted, so that nothing changes for them.
    """

    limit: LimitSnapshot
    following: int
    pinned: int
    overridden: int


async def affected_by(connection: Any, plan_id: UUID, name: str) -> Affected:
    """Whom a limit of a plan concerns. Raises NotFound, which names the limits that there are."""
    limit = await _limit(connection, plan_id, name)
    following = await connection.fetchval(
        f"select count(*) from subscription where plan_id = $1 and plan_version_id is null and state in {LIVE}", plan_id
    )
    pinned = 0
    for row in await connection.fetch(_PINNED, plan_id):
        terms = await terms_of(connection, plan_id, row["plan_version_id"])
        pinned += row["subscriptions"] if any(each.id == limit.id for each in terms.limits) else 0
    return Affected(limit, following, pinned, await connection.fetchval(_OVERRIDDEN, plan_id, name))


async def set_shadow(connection: Any, plan_id: UUID, name: str, *, shadow: bool) -> LimitSnapshot:
    """Put the limit in shadow, or enforce it; the limit as it is now. Inside a transaction. Raises NotFound, Conflict."""
    # The row lock orders this and edits of the plan.
    await connection.fetchval("select id from plan where id = $1 for no key update", plan_id)
    changed = await connection.fetchval(
        "update plan_limit set shadow = $3 where plan_id = $1 and name = $2 and shadow <> $3 returning id",
        plan_id,
        name,
        shadow,
    )
    limit = await _limit(connection, plan_id, name)
    if changed is None:
        raise Conflict(f"The limit {name} is {'only counted' if shadow else 'enforced'} already.")
    for row in await connection.fetch(_PINNED, plan_id):
        terms = await terms_of(connection, plan_id, row["plan_version_id"])
        limits = tuple(replace(each, shadow=shadow) if each.id == limit.id else each for each in terms.limits)
        if limits != terms.limits:
            version_id = await keep_version(connection, plan_id, terms_to_json(replace(terms, limits=limits)))
            await pin_from(connection, row["plan_version_id"], version_id)
    return limit


async def _limit(connection: Any, plan_id: UUID, name: str) -> LimitSnapshot:
    limits = {row["name"]: LimitSnapshot(**dict(row)) for row in await connection.fetch(_LIMITS, plan_id)}
    if name not in limits:
        raise NotFound(f"The plan has no limit {name}; it has: {', '.join(limits) or 'none'}.")
    return limits[name]
