"""What a member may do to the organization itself."""

from typing import Any

from domain import audit
from domain.access import Access, Permission
from domain.faults import InvalidValue
from domain.organizations import OrganizationRecord, change, fetch_organization
from domain.subscription_rows import fetch_subscription
from domain.subscriptions import cancel
from domain.team import held

_REVOKE_TOKENS = "update access_token set revoked_at = now() where organization_id = $1 and revoked_at is null"
_WITHDRAW_INVITATIONS = (
    "update invitation set withdrawn_at = now()"
    " where organization_id = $1 and accepted_at is null and withdrawn_at is null"
)


async def rename_organization(connection: Any, access: Access, actor: audit.Actor, name: str) -> OrganizationRecord:
    """Give the organization another name; its slug stays. Raises Forbidden, InvalidValue, Conflict if it is closed."""
    access.require(Permission.MANAGE)
    before = await fetch_organization(connection, access.organization_id)
    after = await change(connection, access.slug, name=name)
    await audit.record(
        connection,
        actor,
        audit.Verb.ORGANIZATION_CHANGE,
        audit.Thing("organization", str(after.id), after.name),
        organization_id=after.id,
        before={"name": before.name},
        after={"name": after.name},
    )
    return after


async def close_organization(connection: Any, access: Access, actor: audit.Actor, confirmation: str) -> None:
    """Close the organization for good: keys are refused, the subscription and access tokens end. Inside a transaction.

    `confirmation` is its slug, typed. Its records stay. Raises Forbidden, InvalidValue, NotFound.
    """
    access = await held(connection, access)
    access.require(Permission.OWN)
    if confirmation.strip() != access.slug:
        raise InvalidValue(f"Write the slug {access.slug} to close this organization.")
    if await fetch_subscription(connection, access.organization_id) is not None:
        await cancel(connection, access.organization_id, at_once=True)
    await connection.execute("update organization set state = 'closed' where id = $1", access.organization_id)
    for statement in (_REVOKE_TOKENS, _WITHDRAW_INVITATIONS):
        await connection.execute(statement, access.organization_id)
    await audit.record(
        connection,
        actor,
        audit.Verb.ORGANIZATION_CLOSE,
        audit.Thing("organization", str(access.organization_id), access.name),
        organization_id=access.organization_id,
        before={"state": access.state},
        after={"state": "closed"},
    )
