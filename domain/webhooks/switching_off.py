"""Switching an endpoint off that is gone or fails for long, and telling those who manage its organization: once each time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.access import Permission
from domain.operating.telling import tell
from domain.portal_settings import SecretSettings
from domain.webhooks.schedule import MOST_ATTEMPTS

GONE = "The endpoint answered 410 Gone."
FAILING = f"Each of {MOST_ATTEMPTS} attempts over three days failed, and nothing else was delivered meanwhile."
_SWITCH = """
update webhook_endpoint e set disabled_at = $2, disabled_reason = $3
 where e.id = $1 and e.disabled_at is null and e.deleted_at is null and ($4::timestamptz is null or not exists (
       select from webhook_delivery d where d.endpoint_id = e.id and d.state = 'delivered' and d.ended_at > $4))
returning e.organization_id, e.url
"""
_ORGANIZATION = "select slug, name from organization where id = $1"


@dataclass(frozen=True, slots=True)
class Teller:
    """With what mails are sealed, and where the portal is to which they lead."""

    secrets: SecretSettings
    portal_url: str


async def switch_off(
    connection: Any, teller: Teller, endpoint_id: UUID, now: datetime, *, failing_since: datetime | None
) -> bool:
    """Switch it off, in the caller's transaction, with a mail to owners and admins; whether this did it.

    `failing_since` None: it says itself that it is gone. Else it stays on if anything was delivered since then.
    """
    reason = GONE if failing_since is None else FAILING
    row = await connection.fetchrow(_SWITCH, endpoint_id, now, reason, failing_since)
    if row is None:
        return False
    organization = await connection.fetchrow(_ORGANIZATION, row["organization_id"])
    values = {
        "organization": organization["name"],
        "url": row["url"],
        "reason": reason,
        "link": f"{teller.portal_url}/o/{organization['slug']}/webhooks/{endpoint_id}",
    }
    await tell(connection, teller.secrets, row["organization_id"], Permission.MANAGE, "webhook_off", values)
    return True
