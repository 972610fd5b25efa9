"""Who may do what in which organization: the only way to a tenant's row.

Nothing of an organization is read or changed for a customer but with an `Access`, and an `Access` comes from
`access_organization` alone. What somebody may not see does not exist for them: NotFound, never "forbidden".
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain.faults import Forbidden, NotFound


class Permission(StrEnum):
    """What a role may do."""

    VIEW = "view"
    """See usage, logs, keys, services, members, webhooks."""
    BILLING_VIEW = "billing_view"
    """See credits and what is paid."""
    BUILD = "build"
    """Make, change and revoke keys; keep webhooks."""
    BUY = "buy"
    """Change the subscription, the spend caps, and when the organization is told of usage."""
    AUDIT_VIEW = "audit_view"
    """Read who did what."""
    MANAGE = "manage"
    """Invite and remove people, change roles, rename the organization."""
    OWN = "own"
    """Hand the organization to somebody else, close it."""


_EVERYBODY = {Permission.VIEW}
ROLES: dict[str, frozenset[Permission]] = {
    "owner": frozenset(Permission),
    "admin": frozenset(Permission) - {Permission.OWN},
    "developer": frozenset(_EVERYBODY | {Permission.BUILD, Permission.BILLING_VIEW}),
    "billing": frozenset(_EVERYBODY | {Permission.BILLING_VIEW, Permission.BUY}),
    "viewer": frozenset(_EVERYBODY),
}
"""Every role and all that it may do."""

CHANGES = frozenset(Permission) - {Permission.VIEW, Permission.BILLING_VIEW, Permission.AUDIT_VIEW}
"""What a read-only access token never may."""


READ_ONLY = "You act as a customer and may only look. Nothing was done."


@dataclass(frozen=True, slots=True)
class Access:
    """One user in one organization. `read_only`: through an access token that may only look.

    `acting`: an operator in the place of a customer, who is no member; only a session can say so.
    """

    organization_id: UUID
    slug: str
    name: str
    state: str
    user_id: int
    role: str
    read_only: bool = False
    acting: bool = False

    def may(self, permission: Permission) -> bool:
        """Whether this user may do that here."""
        return permission in ROLES[self.role] and not (self.read_only and permission in CHANGES)

    def require(self, permission: Permission) -> None:
        """Raise Forbidden, which says why, if this user may not do that here."""
        if self.may(permission):
            return
        if self.read_only and permission in ROLES[self.role]:
            raise Forbidden(
                READ_ONLY if self.acting else "This access token may only read. Make one that may also write."
            )
        if self.acting:
            raise Forbidden("Who acts as a customer may not do this: only a member may.")
        raise Forbidden(f"Your role here is {self.role}, which may not do this. Ask an owner or admin of {self.name}.")


_ACCESS = (
    "select o.id as organization_id, o.slug, o.name, o.state, m.user_id, m.role from membership m"
    " join organization o on o.id = m.organization_id and o.state <> 'closed' where m.user_id = $1"
)


async def access_organization(connection: Any, user_id: int, which: str | UUID, *, read_only: bool = False) -> Access:
    """The user's access to the organization with this slug or id. Raises NotFound, also where there is one of others."""
    condition = "o.id = $2" if isinstance(which, UUID) else "o.slug = $2"
    row = await connection.fetchrow(f"{_ACCESS} and {condition}", user_id, which)
    if row is None:
        raise NotFound("There is no such organization.")
    return Access(**dict(row), read_only=read_only)


async def organizations_of(connection: Any, user_id: int) -> list[Access]:
    """Every organization of the user, by name; at most 200."""
    rows = await connection.fetch(f"{_ACCESS} order by lower(o.name), o.slug limit 200", user_id)
    return [Access(**dict(row)) for row in rows]
