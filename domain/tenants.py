"""What a member may do to the organization itself."""

from typing import Any

from domain import audit
from domain.access import Access, Permission
from domain.organizations import OrganizationRecord, change, fetch_organization


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
