"""What was done to an API key, in the audit: the same words whether its organization or an operator did it."""

from collections.abc import Mapping
from typing import Any

from domain import audit
from domain.key_records import KeyRecord


async def note_key(
    connection: Any,
    actor: audit.Actor,
    verb: audit.Verb,
    key: KeyRecord,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> None:
    """Write the entry on the connection of the change."""
    await audit.record(
        connection,
        actor,
        verb,
        audit.Thing("api_key", str(key.id), key.name),
        organization_id=key.organization_id,
        before=before,
        after=after,
        reason=reason,
    )
