"""Personal access tokens: programs that act for one user in one organization through the portal's API."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.identity.sessions import Session
from domain.random_tokens import digest_of

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
TOKEN_PREFIX = "pe_pat_"  # noqa: S105  what every token begins with


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """For whom and where a token acts, as a session that was never proven: grave changes are for people."""

    session: Session
    organization_id: UUID
    name: str
    read_only: bool


_FIND = """
select t.id, t.user_id, t.organization_id, t.name as token_name, t.read_only, t.created_at, u.email,
       trim(coalesce(u.first_name, '') || ' ' || coalesce(u.last_name, '')) as name,
       u.email_verified_at is not null as email_verified, u.deletes_at,
       coalesce(p.theme, 'system') as theme, coalesce(p.time_zone, 'UTC') as time_zone,
       t.last_used_at is null or t.last_used_at < now() - interval '1 minute' as stale
  from access_token t join users u on u.id = t.user_id and u.active
  left join user_preference p on p.user_id = t.user_id
 where t.token_digest = $1 and t.revoked_at is null and (t.expires_at is null or t.expires_at > now())
"""


async def find_access_token(connection: Any, token: str) -> TokenHolder | None:
    """The holder of a living token, noted as used; None if there is none."""
    row = await connection.fetchrow(_FIND, digest_of(token))
    if row is None:
        return None
    if row["stale"]:
        await connection.execute("update access_token set last_used_at = now() where id = $1", row["id"])
    session = Session(
        id=row["id"],
        user_id=row["user_id"],
        email=row["email"],
        name=row["name"],
        email_verified=row["email_verified"],
        awaits_factor=False,
        created_at=row["created_at"],
        proven_at=_NEVER,
        deletes_at=row["deletes_at"],
        theme=row["theme"],
        time_zone=row["time_zone"],
    )
    return TokenHolder(session, row["organization_id"], row["token_name"], row["read_only"])
