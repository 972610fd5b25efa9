"""Seats offered by mail. Whoever shows the link's token can read the address's mail, so the address counts as proven.

An invitation is accepted once, within 7 days, by a user who is signed in with exactly the address that it was sent to.
A new user signs up with that address; accepting verifies it. The token stands in the mail alone: no page and no answer
shows it to those who invite.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain import audit
from domain.access import Access, Permission
from domain.cursors import Cursor
from domain.faults import Conflict, Forbidden, InvalidValue, NotFound, TooManyTries
from domain.identity.throttle import Throttle
from domain.open_organizations import held_state
from domain.outbox import post_mail
from domain.portal_settings import SecretSettings
from domain.random_tokens import digest_of, new_token
from domain.roles import INVITED, require_givable
from domain.team import held
from domain.webhooks import announcing

DAYS = 7
MOST_OPEN = 50
"""Open invitations of one organization."""
MAILS_AN_HOUR = 20
"""Of one organization, and of one who invites: the portal is no way to mail strangers."""
HOUR = timedelta(hours=1)
EMAIL_PATTERN = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){1,8}$"
"""As HTML's e-mail field has it, with a dot in the host."""
LONGEST_EMAIL = 254
NOT_OPEN = "This invitation is not open: it was accepted, taken back, replaced by a newer one, or is older than 7 days."
_NO_INVITATION = "There is no such open invitation."
_EMAIL = re.compile(EMAIL_PATTERN)
_COLUMNS = "i.id, i.email, i.role, i.created_at, i.expires_at, coalesce(u.email, '') as invited_by"
_OPEN = "i.accepted_at is null and i.withdrawn_at is null and i.expires_at > now()"
_PAGE = f"""
select {_COLUMNS} from invitation i left join users u on u.id = i.invited_by
 where i.organization_id = $1 and {_OPEN} and ($2::timestamptz is null or (i.created_at, i.id) < ($2, $3))
 order by i.created_at desc, i.id desc limit $4
"""
_SENT = """
select (select count(*) from audit_entry where organization_id = $1 and created_at > now() - $3::interval
           and verb = 'member.invite'),
       (select count(*) from audit_entry where actor_id = $2 and created_at > now() - $3::interval
           and verb = 'member.invite')
"""
_OFFER = f"""
select i.id, o.id as organization_id, o.name as organization, o.slug, i.email, i.role, coalesce(u.email, '') as invited_by, i.expires_at
  from invitation i join organization o on o.id = i.organization_id and o.state <> 'closed'
  left join users u on u.id = i.invited_by
 where i.token_digest = $1 and {_OPEN}
"""


@dataclass(frozen=True, slots=True)
class InvitationRecord:
    """An open invitation, as those see it who may invite."""

    id: UUID
    email: str
    role: str
    created_at: datetime
    expires_at: datetime
    invited_by: str

    @property
    def thing(self) -> audit.Thing:
        """The invitation as the audit names it."""
        return audit.Thing("invitation", str(self.id), self.email)


@dataclass(frozen=True, slots=True)
class InvitationPage:
    """Some open invitations, newest first; `older` is None on the last page."""

    invitations: list[InvitationRecord]
    older: Cursor | None


@dataclass(frozen=True, slots=True)
class Offer:
    """An open invitation, as whoever holds its token sees it."""

    id: UUID
    organization_id: UUID
    organization: str
    slug: str
    email: str
    role: str
    invited_by: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Post:
    """What mails need: what counts them by address, the key that they are sealed with, where the portal is, its name."""

    throttle: Throttle
    secrets: SecretSettings
    base_url: str
    product: str


async def list_invitations(
    connection: Any, access: Access, *, limit: int = MOST_OPEN, after: Cursor | None = None
) -> InvitationPage:
    """The open invitations, or those after a cursor."""
    access.require(Permission.MANAGE)
    at, key = (after.at, after.id) if after else (None, None)
    rows = await connection.fetch(_PAGE, access.organization_id, at, key, limit + 1)
    found = [InvitationRecord(**dict(row)) for row in rows[:limit]]
    last = found[-1] if len(rows) > limit else None
    return InvitationPage(found, Cursor(last.created_at, last.id) if last else None)


async def invite(
    connection: Any, access: Access, actor: audit.Actor, post: Post, *, email: str, role: str
) -> InvitationRecord:
    """Offer a seat by mail. Inside a transaction.

    Raises Forbidden, InvalidValue; Conflict (a member, invited already, too many open); TooManyTries.
    """
    address = valid_address(email)
    access = await _may_mail(connection, access)
    if role not in INVITED:
        raise InvalidValue(f"An invitation is for one of the roles {', '.join(INVITED)}.")
    require_givable(access.role, role)
    await _require_no_member(connection, access, address)
    # An old one that nobody accepted stands in the way of the unique index.
    await connection.execute(
        "update invitation set withdrawn_at = now() where organization_id = $1 and expires_at <= now()"
        " and accepted_at is null and withdrawn_at is null",
        access.organization_id,
    )
    token = new_token()
    made: UUID | None = await connection.fetchval(
        "insert into invitation (organization_id, email, role, token_digest, invited_by, expires_at)"
        " select $1, $2, $3, $4, $5, now() + $6::interval where (select count(*) from invitation"
        "  where organization_id = $1 and accepted_at is null and withdrawn_at is null) < $7"
        " on conflict (organization_id, email) where accepted_at is null and withdrawn_at is null do nothing"
        " returning id",
        access.organization_id,
        address,
        role,
        token.digest,
        access.user_id,
        timedelta(days=DAYS),
        MOST_OPEN,
    )
    if made is None:
        raise await _why_not(connection, access, address)
    return await _posted(connection, access, actor, post, made, token.text)


async def resend(
    connection: Any, access: Access, actor: audit.Actor, post: Post, invitation_id: UUID
) -> InvitationRecord:
    """Mail an open invitation again with a new link; the old link is void, the 7 days begin anew. Inside a transaction."""
    access = await _may_mail(connection, access)
    token = new_token()
    changed = await connection.fetchval(
        "update invitation set token_digest = $3, expires_at = now() + $4::interval"
        " where id = $2 and organization_id = $1 and accepted_at is null and withdrawn_at is null and expires_at > now()"
        " returning id",
        access.organization_id,
        invitation_id,
        token.digest,
        timedelta(days=DAYS),
    )
    if changed is None:
        raise NotFound(_NO_INVITATION)
    return await _posted(connection, access, actor, post, changed, token.text)


async def withdraw(connection: Any, access: Access, actor: audit.Actor, invitation_id: UUID) -> None:
    """Take an open invitation back. Raises Forbidden, NotFound."""
    access.require(Permission.MANAGE)
    email = await connection.fetchval(
        "update invitation set withdrawn_at = now() where id = $2 and organization_id = $1"
        " and accepted_at is null and withdrawn_at is null returning email",
        access.organization_id,
        invitation_id,
    )
    if email is None:
        raise NotFound(_NO_INVITATION)
    await audit.record(
        connection,
        actor,
        audit.Verb.MEMBER_WITHDRAW,
        audit.Thing("invitation", str(invitation_id), email),
        organization_id=access.organization_id,
    )


async def find_offer(connection: Any, token: str) -> Offer:
    """The open invitation of a link's token; looking changes nothing. Raises NotFound."""
    row = await connection.fetchrow(_OFFER, digest_of(token))
    if row is None:
        raise NotFound(NOT_OPEN)
    return Offer(**dict(row))


async def accept(connection: Any, token: str, *, user_id: int, email: str, actor: audit.Actor) -> Offer:
    """Join, as the signed-in user with that address; the address is verified by it. Once. Inside a transaction.

    Raises NotFound for what is not open; Forbidden for a user with another address.
    """
    offer = await find_offer(connection, token)
    if offer.email != email.lower():
        raise Forbidden(
            f"This invitation is for {offer.email}, and you are signed in as {email}. Sign in with that address."
        )
    await held_state(connection, offer.organization_id)
    organization_id = await connection.fetchval(
        "update invitation i set accepted_at = now()"
        f" where i.token_digest = $1 and {_OPEN} returning i.organization_id",
        digest_of(token),
    )
    if organization_id is None:
        raise NotFound(NOT_OPEN)
    await connection.execute(
        "update users set email_verified_at = coalesce(email_verified_at, now()) where id = $1 and email = $2",
        user_id,
        offer.email,
    )
    joined = await connection.fetchval(
        "insert into membership (organization_id, user_id, role) values ($1, $2, $3) on conflict do nothing returning id",
        organization_id,
        user_id,
        offer.role,
    )
    if joined is not None:
        await audit.record(
            connection,
            actor,
            audit.Verb.MEMBER_JOIN,
            audit.Thing("member", str(user_id), offer.email),
            organization_id=organization_id,
            after={"role": offer.role},
        )
        await announcing.member_joined(connection, organization_id, user_id=user_id, email=offer.email, role=offer.role)
    return offer


def valid_address(text: str) -> str:
    """An address in lower case. Raises InvalidValue."""
    address = text.strip().lower()
    if not text.isascii() or len(address) > LONGEST_EMAIL or not _EMAIL.fullmatch(address):
        raise InvalidValue("That is no e-mail address.")
    return address


async def _may_mail(connection: Any, access: Access) -> Access:
    """The access with both rows held that mails are counted by. Raises Forbidden, Conflict, TooManyTries."""
    access = await held(connection, access)
    access.require(Permission.MANAGE)
    verified = await connection.fetchval(
        "select email_verified_at is not null from users where id = $1 for no key update", access.user_id
    )
    if not verified:
        raise Forbidden("Verify your own e-mail address before you invite others.")
    if access.state != "active":
        raise Conflict("A suspended organization cannot invite anybody.")
    sent = await connection.fetchrow(_SENT, access.organization_id, access.user_id, HOUR)
    if max(sent) >= MAILS_AN_HOUR:
        raise TooManyTries(
            f"At most {MAILS_AN_HOUR} invitations can be mailed in an hour. Wait a little.",
            retry_after_seconds=int(HOUR.total_seconds()),
        )
    return access


async def _require_no_member(connection: Any, access: Access, address: str) -> None:
    if await connection.fetchval(
        "select true from membership m join users u on u.id = m.user_id where m.organization_id = $1 and u.email = $2",
        access.organization_id,
        address,
    ):
        raise Conflict(f"{address} is a member already.")


async def _why_not(connection: Any, access: Access, address: str) -> Conflict:
    invited = await connection.fetchval(
        "select true from invitation where organization_id = $1 and email = $2"
        " and accepted_at is null and withdrawn_at is null",
        access.organization_id,
        address,
    )
    if invited:
        return Conflict(f"{address} is invited already. Send that invitation again, or take it back first.")
    return Conflict(f"There are {MOST_OPEN} open invitations. Take some back first.")


async def _posted(
    connection: Any, access: Access, actor: audit.Actor, post: Post, invitation_id: UUID, token: str
) -> InvitationRecord:
    row = await connection.fetchrow(
        f"select {_COLUMNS} from invitation i left join users u on u.id = i.invited_by where i.id = $1", invitation_id
    )
    made = InvitationRecord(**dict(row))
    # Of all organizations together: else who owns many, or many who work together, flood one mailbox.
    sentence = "Very many invitations were mailed to this address."
    await post.throttle.take("invite_to", digest_of(made.email).hex(), sentence)
    await post_mail(
        connection,
        post.secrets,
        template="invitation",
        to=made.email,
        values={
            "product": post.product,
            "base_url": post.base_url,
            "organization": access.name,
            "inviter": actor.name,
            "email": made.email,
            "role": made.role,
            "days": str(DAYS),
            "link": f"{post.base_url}/invitations/{token}",
        },
    )
    await audit.record(
        connection,
        actor,
        audit.Verb.MEMBER_INVITE,
        made.thing,
        organization_id=access.organization_id,
        after={"role": made.role, "expires_at": made.expires_at},
    )
    return made
