"""The end of an organization: its keys, tokens, subscription, invitations, open jobs and webhooks end with it; its records stay."""

from typing import Any
from uuid import UUID

from domain import audit
from domain.async_jobs.ending import cancel_all
from domain.subscription_rows import fetch_subscription
from domain.subscriptions import cancel

_ENDS = (
    "update api_key set revoked_at = now(), revoked_reason = $2 where organization_id = $1 and revoked_at is null",
    "update access_token set revoked_at = now() where organization_id = $1 and revoked_at is null and $2 <> ''",
    """update invitation set withdrawn_at = now()
        where organization_id = $1 and accepted_at is null and withdrawn_at is null and $2 <> ''""",
    """update webhook_endpoint set disabled_at = now(), disabled_reason = $2
        where organization_id = $1 and disabled_at is null""",
)


async def close(connection: Any, organization_id: UUID, actor: audit.Actor, *, reason: str) -> bool:
    """Close it for good, inside the caller's transaction; False if it was closed before. `reason` is not empty."""
    was = await connection.fetchrow(
        "update organization o set state = 'closed' from organization was where o.id = $1 and o.state <> 'closed'"
        " and was.id = o.id returning was.name, was.state",
        organization_id,
    )
    if was is None:
        return False
    subscription = await fetch_subscription(connection, organization_id)
    if subscription is not None and subscription.live:
        await cancel(connection, organization_id, at_once=True)
    await cancel_all(connection, organization_id)
    for statement in _ENDS:
        await connection.execute(statement, organization_id, reason)
    await audit.record(
        connection,
        actor,
        audit.Verb.ORGANIZATION_CLOSE,
        audit.Thing("organization", str(organization_id), was["name"]),
        organization_id=organization_id,
        before={"state": was["state"]},
        after={"state": "closed"},
        reason=reason,
    )
    return True
