"""Mails to the people of an organization who may do something about it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from domain.access import ROLES, Permission
from domain.outbox import post_mail
from domain.portal_settings import SecretSettings

MOST = 50
"""People of one organization who are told."""


async def tell(
    connection: Any,
    secrets: SecretSettings,
    organization_id: UUID,
    permission: Permission,
    template: str,
    values: Mapping[str, str],
) -> int:
    """Queue the mail for every active member whose role has the permission; how many there are."""
    rows = await connection.fetch(
        "select u.email from membership m join users u on u.id = m.user_id and u.active"
        " where m.organization_id = $1 and m.role = any($2) order by m.role <> 'owner', m.created_at limit $3",
        organization_id,
        [role for role, permissions in ROLES.items() if permission in permissions],
        MOST,
    )
    for row in rows:
        await post_mail(connection, secrets, template=template, to=row["email"], values=values)
    return len(rows)
