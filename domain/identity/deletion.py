"""Deleting an account, with days of grace in which everything works and it can be kept.

At the end the person is erased: memberships, sessions, tokens, links, factors, the user. Organizations that had nobody
else are closed. The audit stays, and so do the claims of trials: who comes back gets no second one (A11). Operators erase
by the same rule, without the days (`domain.operating.erasing`).
"""

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain import audit
from domain.closing import close
from domain.faults import Conflict
from domain.identity.links import KEEP_ACCOUNT, DeadLink, new_link, use, void
from domain.identity.proof import require_fresh
from domain.identity.sessions import Session
from domain.outbox import post_mail
from domain.portal_settings import SecretSettings
from domain.settings import Settings
from domain.team import take_back_invitations
from domain.webhooks.announcing import member_removed

log = logging.getLogger("paid_endpoint.deletion")

REASON = "The account of its only member was deleted."

_HELD_BY_OTHERS = """
select o.id, o.name from membership m join organization o on o.id = m.organization_id and o.state <> 'closed'
 where m.user_id = $1 and m.role = 'owner'
   and exists (select from membership x where x.organization_id = o.id and x.user_id <> $1)
   and not exists (select from membership x where x.organization_id = o.id and x.user_id <> $1 and x.role = 'owner')
 order by lower(o.name)
"""
_HOLD = """
select o.id from membership m join organization o on o.id = m.organization_id where m.user_id = $1
 order by o.id for update of o
"""
_ALONE = """
select o.id, o.name from membership m join organization o on o.id = m.organization_id and o.state <> 'closed'
 where m.user_id = $1 and not exists (select from membership x where x.organization_id = o.id and x.user_id <> $1)
 order by o.id
"""


async def request_deletion(connection: Any, settings: Settings, session: Session, actor: audit.Actor) -> datetime:
    """When the account will be deleted. A mail brings a link that keeps it.

    Raises ProofNeeded; Conflict for an operator, for the only owner of an organization with other members, and when it
    was asked for before.
    """
    require_fresh(session, settings.portal)
    await _require_deletable(connection, session.user_id)
    days = settings.portal.deletion_days
    deletes_at: datetime | None = await connection.fetchval(
        "update users set deletes_at = now() + $2::interval where id = $1 and deletes_at is null returning deletes_at",
        session.user_id,
        timedelta(days=days),
    )
    if deletes_at is None:
        raise Conflict("Your account is about to be deleted already.")
    token = await new_link(connection, session.user_id, session.email, KEEP_ACCOUNT)
    values = {
        "email": session.email,
        "date": f"{deletes_at:%Y-%m-%d %H:%M} UTC",
        "link": f"{settings.portal.base_url}/account/keep/{token}",
    }
    await post_mail(connection, settings.secrets, template="account_will_end", to=session.email, values=values)
    thing = audit.Thing("user", str(session.user_id), session.email)
    await audit.record(connection, actor, audit.Verb.ACCOUNT_DELETE, thing, after={"deletes_at": deletes_at})
    return deletes_at


async def keep_account(connection: Any, user_id: int, actor: audit.Actor) -> None:
    """Take the deletion back; again is no change."""
    email = await connection.fetchval(
        "update users set deletes_at = null where id = $1 and deletes_at is not null returning email", user_id
    )
    await void(connection, user_id, KEEP_ACCOUNT)
    if email is not None:
        actor = audit.Actor("user", user_id, email, actor.address, actor.request_id)
        await audit.record(connection, actor, audit.Verb.ACCOUNT_KEEP, audit.Thing("user", str(user_id), email))


async def keep_by_link(connection: Any, token: str, actor: audit.Actor) -> None:
    """The same with the mailed link. Raises DeadLink."""
    link = await use(connection, token, KEEP_ACCOUNT)
    if not await connection.fetchval("select true from users where id = $1 and deletes_at is not null", link.user_id):
        raise DeadLink
    await keep_account(connection, link.user_id, actor)


async def delete_due(connection: Any, settings: SecretSettings, now: datetime) -> int:
    """Erase every account whose days of grace are over; how many. Safe to repeat, and to run twice at once."""
    erased, tried = 0, [0]
    while True:
        async with connection.transaction():
            row = await connection.fetchrow(
                "select id, email from users where deletes_at <= $1 and operator_role is null and id <> all($2::int[])"
                " order by deletes_at limit 1 for update skip locked",
                now,
                tried,
            )
            if row is None:
                return erased
            tried.append(row["id"])
            erased += await _erase_due(connection, settings, row["id"], row["email"])


async def _require_deletable(connection: Any, user_id: int) -> None:
    if await connection.fetchval("select admin or superuser from users where id = $1", user_id):
        raise Conflict("This is an operator's account: another operator has to take that away first.")
    names = await _held(connection, user_id)
    if names:
        raise Conflict(
            f"You are the only owner of {', '.join(names)}, which has other members."
            " Hand it over or remove them first, then delete your account."
        )


async def hold(connection: Any, user_id: int) -> bool:
    """Hold a user and their organizations until the transaction ends; False if there is no such user.

    Nobody joins one of these, leaves it or gets another role meanwhile.
    """
    if not await connection.fetchval("select true from users where id = $1 for update", user_id):
        return False
    await connection.execute(_HOLD, user_id)
    return True


async def sole_ownerships(connection: Any, user_id: int) -> list[tuple[UUID, str]]:
    """Organizations with other members of which the user is the only owner, as id and name, by name: they hinder erasing."""
    return [tuple(row) for row in await connection.fetch(_HELD_BY_OTHERS, user_id)]


async def alone_in(connection: Any, user_id: int) -> list[tuple[UUID, str]]:
    """Organizations that have nobody but the user, as id and name: erasing closes them."""
    return [tuple(row) for row in await connection.fetch(_ALONE, user_id)]


async def erase(
    connection: Any, settings: SecretSettings, user_id: int, email: str, actor: audit.Actor, *, reason: str = ""
) -> int:
    """Erase the person, in a transaction that holds them (`hold`); how many organizations that closed.

    The caller has seen that there are no `sole_ownerships`. Without a `reason` the person's own wish is given.
    """
    alone = await alone_in(connection, user_id)
    for organization_id, _ in alone:
        await close(connection, organization_id, actor, reason=reason or REASON)
    left = await connection.fetch("delete from membership where user_id = $1 returning organization_id, role", user_id)
    for row in left:
        await take_back_invitations(connection, row["organization_id"], user_id)
        await member_removed(connection, row["organization_id"], user_id=user_id, email=email, role=row["role"])
    await connection.execute("delete from users where id = $1", user_id)
    thing = audit.Thing("user", str(user_id), email)
    after = {"closed": len(alone)}
    await audit.record(connection, actor, audit.Verb.ACCOUNT_ERASE, thing, after=after, reason=reason)
    await post_mail(connection, settings, template="account_deleted", to=email, values={"email": email})
    return len(alone)


async def _held(connection: Any, user_id: int) -> list[str]:
    return [name for _, name in await sole_ownerships(connection, user_id)]


async def _erase_due(connection: Any, settings: SecretSettings, user_id: int, email: str) -> bool:
    """Inside a transaction that holds the user's row."""
    await hold(connection, user_id)
    names = await _held(connection, user_id)
    if names:
        # Somebody joined, or the other owner left, in the meantime: nobody may lose an organization by that.
        await connection.execute("update users set deletes_at = null where id = $1", user_id)
        values = {"email": email, "organizations": ", ".join(names)}
        await post_mail(connection, settings, template="account_stays", to=email, values=values)
        log.warning("user %s is the only owner of an organization with members: not deleted", user_id)
        return False
    await erase(connection, settings, user_id, email, audit.Actor())
    return True
