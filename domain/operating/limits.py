"""What operators do to limits: another amount for one organization, spend caps, a plan's limit in shadow; each with its trace.

All of it belongs into the caller's transaction: the change and its trace happen together or not at all.
"""

from datetime import datetime
from typing import Any

from domain import audit
from domain.faults import NotFound
from domain.limit_overrides import LimitOverrideRecord, drop_override, list_overrides, override_limit
from domain.limit_shadows import set_shadow
from domain.organizations import OrganizationRecord
from domain.plans import PlanRecord
from domain.snapshots import LimitSnapshot
from domain.spend_caps import CapChange, change_organization_caps


async def find_override(connection: Any, organization: OrganizationRecord, name: str) -> LimitOverrideRecord | None:
    """The organization's override of a limit, also one that has ended; None if there is none."""
    return next((each for each in await list_overrides(connection, organization.id) if each.limit_name == name), None)


async def override(
    connection: Any,
    actor: audit.Actor,
    organization: OrganizationRecord,
    name: str,
    *,
    amount: int | None,
    shadow: bool | None,
    until: datetime | None,
    reason: str,
) -> LimitOverrideRecord:
    """Set an organization's override of one limit; a former one is replaced. Raises InvalidValue, NotFound."""
    before = await find_override(connection, organization, name)
    made = await override_limit(
        connection, organization.id, name, amount=amount, shadow=shadow, until=until, reason=reason[:500]
    )
    await audit.record(
        connection,
        actor,
        audit.Verb.LIMIT_OVERRIDE,
        audit.Thing("limit", name, name),
        organization_id=organization.id,
        before=_facts(before),
        after=_facts(made),
        reason=reason,
    )
    return made


async def end_override(
    connection: Any, actor: audit.Actor, organization: OrganizationRecord, name: str, *, reason: str
) -> None:
    """The limit is again as the plan says. Raises NotFound."""
    before = await find_override(connection, organization, name)
    if before is None:
        raise NotFound(f"{organization.name} has no override of a limit {name}.")
    await drop_override(connection, organization.id, name)
    await audit.record(
        connection,
        actor,
        audit.Verb.LIMIT_END_OVERRIDE,
        audit.Thing("limit", name, name),
        organization_id=organization.id,
        before=_facts(before),
        reason=reason,
    )


async def set_caps(
    connection: Any, actor: audit.Actor, organization: OrganizationRecord, caps: CapChange, *, reason: str
) -> OrganizationRecord:
    """Set, change or take off an organization's spend caps. Raises InvalidValue, Conflict if it is closed."""
    await connection.fetchval("select id from organization where id = $1 for no key update", organization.id)
    return await change_organization_caps(connection, actor, organization.id, caps, reason=reason)


async def shadow_limit(
    connection: Any, actor: audit.Actor, plan: PlanRecord, name: str, *, shadow: bool, reason: str
) -> LimitSnapshot:
    """Put a plan's limit in shadow, or enforce it again, for everybody at once. Raises NotFound, Conflict."""
    limit = await set_shadow(connection, plan.id, name, shadow=shadow)
    await audit.record(
        connection,
        actor,
        audit.Verb.PLAN_SHADOW_LIMIT if shadow else audit.Verb.PLAN_ENFORCE_LIMIT,
        audit.Thing("plan", plan.slug, f"{name} of {plan.slug}"),
        before={"limit": name, "shadow": not shadow},
        after={"limit": name, "shadow": shadow},
        reason=reason,
    )
    return limit


def _facts(record: LimitOverrideRecord | None) -> dict[str, Any] | None:
    if record is None:
        return None
    return {"amount": record.amount, "only_counted": record.shadow, "until": record.until}
