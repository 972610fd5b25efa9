"""A customer whom an operator begins with: organization, subscription, owner and credits, in the caller's transaction."""

from dataclasses import dataclass
from typing import Any

from domain import audit, organizations
from domain.credit_amounts import credits_text
from domain.operating.giving import take_room
from domain.operating.people import create_person, find_person, send_link_again
from domain.organizations import OrganizationRecord
from domain.outbox import post_mail
from domain.settings import Settings
from domain.sign_up import sign_up


@dataclass(frozen=True, slots=True)
class Founding:
    """What is wished for. `slug` None: one is made of the name; `owner` empty: nobody yet; `bonus_micro` 0: no credits."""

    name: str
    plan: str
    slug: str | None = None
    owner: str = ""
    bonus_micro: int = 0


async def found_for(
    connection: Any, settings: Settings, actor: audit.Actor, wish: Founding, *, reason: str
) -> OrganizationRecord:
    """A new organization on a plan. An owner who is new gets an account and a link, one who is known a mail.

    Raises InvalidValue; NotFound or Conflict for the plan; Conflict for a slug that is taken, and for more
    credits than the operator may give.
    """
    await take_room(connection, actor, wish.bonus_micro, settings.admin.given_credits_per_day)
    owner = await find_person(connection, wish.owner) if wish.owner else None
    known = owner is not None
    if wish.owner and owner is None:
        owner = await create_person(connection, settings, actor, email=wish.owner, reason=reason)
    made = await sign_up(
        connection,
        name=wish.name,
        email=owner.email if owner else None,
        plan_slug=wish.plan,
        bonus_micro=wish.bonus_micro,
        slug=wish.slug,
    )
    after = {
        "name": made.name,
        "slug": made.slug,
        "plan": made.plan_slug,
        "owner": owner.email if owner else None,
        "credits": credits_text(wish.bonus_micro),
    }
    thing = audit.Thing("organization", str(made.id), made.name)
    verb = audit.Verb.ORGANIZATION_CREATE
    await audit.record(connection, actor, verb, thing, organization_id=made.id, after=after, reason=reason)
    if owner is not None and known and owner.waits:
        await send_link_again(connection, settings, actor, email=owner.email, reason=reason)
    elif owner is not None and known:
        values = {
            "organization": made.name,
            "email": owner.email,
            "link": f"{settings.portal.base_url}/o/{made.slug}",
        }
        await post_mail(connection, settings.secrets, template="organization_made", to=owner.email, values=values)
    return await organizations.fetch_organization(connection, made.id)
