"""API keys as the rest of the product sees them: everything about a key but the key."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.faults import Conflict, Fault, NotFound

COLUMNS = (
    "k.id, k.organization_id, o.slug as organization_slug, k.name, k.scheme, k.prefix, k.last4, k.environment,"
    " k.scopes, k.allowed_ips, k.expires_at, k.revoked_at, k.revoked_reason, k.rotated_from, k.last_used_at,"
    " k.created_at, k.created_by, k.spend_cap_day_micro, k.spend_cap_month_micro"
)

OWNED = "k.id = $1 and ($2::uuid is null or k.organization_id = $2)"
"""A key of the organization $2; $2 null is the operator, who sees every key."""

ALIVE = "k.revoked_at is null and (k.expires_at is null or k.expires_at > now())"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One API key. `scopes` empty: everything; `allowed_ips` empty: anywhere; times are UTC or None; a cap None: none."""

    id: UUID
    organization_id: UUID
    organization_slug: str
    name: str
    scheme: str
    prefix: str
    last4: str
    environment: str
    scopes: tuple[str, ...]
    allowed_ips: tuple[str, ...]
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_reason: str | None
    rotated_from: UUID | None
    last_used_at: datetime | None
    created_at: datetime
    created_by: int | None
    spend_cap_day_micro: int | None
    spend_cap_month_micro: int | None

    @property
    def state(self) -> str:
        """`active`, `expired` or `revoked`, now."""
        if self.revoked_at is not None:
            return "revoked"
        expired = self.expires_at is not None and self.expires_at <= datetime.now(UTC)
        return "expired" if expired else "active"


def record_of(row: Any) -> KeyRecord:
    """A row of COLUMNS as a record."""
    values = dict(row)
    values["scopes"], values["allowed_ips"] = tuple(values["scopes"]), tuple(values["allowed_ips"])
    return KeyRecord(**values)


async def fetch_key(connection: Any, key_id: UUID, *, organization_id: UUID | None) -> KeyRecord:
    """One key of an organization (None: of any). Raises NotFound."""
    row = await connection.fetchrow(
        f"select {COLUMNS} from api_key k join organization o on o.id = k.organization_id where {OWNED}",
        key_id,
        organization_id,
    )
    if row is None:
        raise NotFound(f"There is no API key {key_id}.")
    return record_of(row)


async def list_keys(connection: Any, *, organization_id: UUID | None, most: int = 1000) -> list[KeyRecord]:
    """The newest `most` keys of an organization (None: of all), newest first."""
    rows = await connection.fetch(
        f"select {COLUMNS} from api_key k join organization o on o.id = k.organization_id"
        " where $1::uuid is null or k.organization_id = $1 order by k.created_at desc, k.id limit $2",
        organization_id,
        most,
    )
    return [record_of(row) for row in rows]


async def why_unchanged(connection: Any, key_id: UUID, organization_id: UUID | None) -> Fault:
    """The fault that explains why a change that needs a living key met none."""
    try:
        key = await fetch_key(connection, key_id, organization_id=organization_id)
    except NotFound as fault:
        return fault
    return Conflict(f"The API key {key_id} is {key.state}: it cannot be changed any more; create a new one.")
