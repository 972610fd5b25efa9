"""What a member may do to the organization itself."""

from typing import Any

from domain import audit
from domain.access import Access, Permission
from domain.closing import close
from domain.faults import InvalidValue
from domain.organizations import OrganizationRecord, change, fetch_organization
from domain.team import held


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
    """Close the organization for good: everything that runs in it ends (domain.closing). Inside a transaction.

    `confirmation` is its slug, typed. Its records stay. Raises Forbidden, InvalidValue, NotFound.
    """
    access = await held(connection, access)
    access.require(Permission.OWN)
    if confirmation.strip() != access.slug:
        raise InvalidValue(f"Write the slug {access.slug} to close this organization.")
    await close(connection, access.organization_id, actor, reason="Its owner closed it.")
