"""A person's access tokens: made, shown once, listed, revoked. `access_tokens` finds whom a shown one is for."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain import audit
from domain.access import Access
from domain.faults import Conflict, InvalidValue, NotFound
from domain.identity.access_tokens import TOKEN_PREFIX
from domain.identity.proof import require_fresh
from domain.identity.sessions import Session
from domain.names import valid_name
from domain.open_organizations import held_state
from domain.outbox import post_mail
from domain.random_tokens import new_token
from domain.settings import Settings

LIFETIMES = (30, 90, 365)
"""Days that may be chosen; None is for ever."""
MOST = 50
"""That one person may hold at a time."""


@dataclass(frozen=True, slots=True)
class OwnToken:
    """What is known of a token after it was shown."""

    id: UUID
    name: str
    organization: str
    organization_name: str
    last4: str
    read_only: bool
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    expired: bool


@dataclass(frozen=True, slots=True, repr=False)
class CreatedToken:
    """A new token's record and, the only time, its text."""

    record: OwnToken
    text: str

    def __repr__(self) -> str:
        return f"CreatedToken({self.record.id})"


_COLUMNS = (
    "t.id, t.name, o.slug as organization, o.name as organization_name, t.last4, t.read_only, t.created_at,"
    " t.expires_at, t.last_used_at, coalesce(t.expires_at <= now(), false) as expired"
)


_GOOD = "user_id = $1 and revoked_at is null and (expires_at is null or expires_at > now())"


async def list_tokens(connection: Any, user_id: int) -> list[OwnToken]:
    """All that were not revoked, newest first."""
    rows = await connection.fetch(
        f"select {_COLUMNS} from access_token t join organization o on o.id = t.organization_id"
        " where t.user_id = $1 and t.revoked_at is null order by t.created_at desc, t.id desc",
        user_id,
    )
    return [OwnToken(**dict(row)) for row in rows]


async def create_token(
    connection: Any,
    settings: Settings,
    session: Session,
    actor: audit.Actor,
    access: Access,
    *,
    name: str,
    read_only: bool,
    days: int | None,
) -> CreatedToken:
    """A new token for the person in one of their organizations; a mail tells them of it.

    Raises ProofNeeded, InvalidValue, NotFound for an organization that is closed, Conflict for too many.
    """
    require_fresh(session, settings.portal)
    if days is not None and days not in LIFETIMES:
        raise InvalidValue("A token lasts 30, 90 or 365 days, or for ever.")
    await held_state(connection, access.organization_id)
    token = new_token(TOKEN_PREFIX)
    # The lock makes creations of one person wait for each other, so that the count holds.
    await connection.execute("select from users where id = $1 for update", session.user_id)
    row = await connection.fetchrow(
        "with t as (insert into access_token (user_id, organization_id, name, token_digest, last4, read_only, expires_at)"
        " select $1, $2, $3, $4, $5, $6, now() + $7::interval"
        " where (select count(*) from access_token where user_id = $1 and revoked_at is null) < $8 returning *)"
        f" select {_COLUMNS} from t join organization o on o.id = t.organization_id",
        session.user_id,
        access.organization_id,
        valid_name(name),
        token.digest,
        token.text[-4:],
        read_only,
        None if days is None else timedelta(days=days),
        MOST,
    )
    if row is None:
        raise Conflict(f"You hold {MOST} tokens already. Revoke those that are not needed.")
    made = OwnToken(**dict(row))
    await audit.record(
        connection,
        actor,
        audit.Verb.TOKEN_CREATE,
        audit.Thing("token", str(made.id), made.name),
        organization_id=access.organization_id,
        after={"read_only": read_only, "expires_at": made.expires_at},
    )
    values = {
        "email": session.email,
        "name": made.name,
        "organization": made.organization_name,
        "address": actor.address,
    }
    await post_mail(connection, settings.secrets, template="token_made", to=session.email, values=values)
    return CreatedToken(made, token.text)


async def count_tokens(connection: Any, user_id: int) -> int:
    """How many are good now."""
    number: int = await connection.fetchval(f"select count(*) from access_token where {_GOOD}", user_id)
    return number


async def revoke_tokens(connection: Any, user_id: int, actor: audit.Actor) -> list[str]:
    """Let none that is good now be good any more; their names."""
    rows = await connection.fetch(
        f"update access_token set revoked_at = now() where {_GOOD} returning id, name, organization_id", user_id
    )
    for row in rows:
        thing = audit.Thing("token", str(row["id"]), row["name"])
        await audit.record(connection, actor, audit.Verb.TOKEN_REVOKE, thing, organization_id=row["organization_id"])
    return sorted(row["name"] for row in rows)


async def revoke_token(connection: Any, session: Session, actor: audit.Actor, token_id: UUID) -> None:
    """Let a token be good no more; again is no change. Raises NotFound, also for another's."""
    row = await connection.fetchrow(
        "update access_token set revoked_at = now() where id = $1 and user_id = $2 and revoked_at is null"
        " returning name, organization_id",
        token_id,
        session.user_id,
    )
    if row is not None:
        await audit.record(
            connection,
            actor,
            audit.Verb.TOKEN_REVOKE,
            audit.Thing("token", str(token_id), row["name"]),
            organization_id=row["organization_id"],
        )
        return
    mine = "select true from access_token where id = $1 and user_id = $2"
    if not await connection.fetchval(mine, token_id, session.user_id):
        raise NotFound("There is no such access token.")
