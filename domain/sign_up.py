"""A new customer, in one transaction: organization, subscription, owner, and the credits that one is given to begin with."""

from typing import Any
from uuid import UUID

from domain import audit, organizations
from domain.credits.granting import grant
from domain.faults import Conflict, NotFound
from domain.identity.addresses import mailbox_of
from domain.organizations import OrganizationRecord
from domain.portal_settings import SecretSettings
from domain.sealing import macs
from domain.settings import Settings

BONUS_KEY = "sign-up"
"""The idempotency key under which an organization gets its bonus: once, whatever becomes of it."""
MOST_ORGANIZATIONS = 20
"""That one user may own."""


async def found(connection: Any, settings: Settings, actor: audit.Actor, *, name: str) -> OrganizationRecord:
    """A new organization of the acting user, on the plan that new ones begin on; its bonus once for each mailbox.

    Raises InvalidValue; Conflict when the user owns as many as one may; NotFound or Conflict for the plan.
    """
    async with connection.transaction():
        # The lock makes foundings of one user wait for each other, so that the count holds.
        await connection.execute("select from users where id = $1 for update", actor.id)
        owned = await connection.fetchval(
            "select count(*) from membership m join organization o on o.id = m.organization_id and o.state <> 'closed'"
            " where m.user_id = $1 and m.role = 'owner'",
            actor.id,
        )
        if owned >= MOST_ORGANIZATIONS:
            raise Conflict(f"You own {MOST_ORGANIZATIONS} organizations already; close one that is not needed.")
        made = await organizations.create(connection, name=name, plan_slug=settings.portal.sign_up_plan)
        await _own(connection, made.id, actor.name)
        if await _claim_bonus(connection, settings.secrets, made.id, actor.name):
            await give_bonus(connection, made.id, settings.credits.sign_up_bonus_micro)
        thing = audit.Thing("organization", str(made.id), made.name)
        await audit.record(
            connection,
            actor,
            audit.Verb.ORGANIZATION_CREATE,
            thing,
            organization_id=made.id,
            after={"name": made.name, "slug": made.slug, "plan": made.plan_slug},
        )
        return made


async def sign_up(
    connection: Any, *, name: str, email: str | None, plan_slug: str, bonus_micro: int, slug: str | None = None
) -> OrganizationRecord:
    """A new organization on a plan, owned by the user of `email` (None: by nobody yet), with its bonus.

    Raises InvalidValue; NotFound for the plan or the user; Conflict for the plan, or a given slug that is taken.
    """
    async with connection.transaction():
        made = await organizations.create(connection, name=name, plan_slug=plan_slug, slug=slug)
        if email is not None:
            await _own(connection, made.id, email.strip().lower())
        await give_bonus(connection, made.id, bonus_micro)
        return made


async def give_bonus(connection: Any, organization_id: UUID, bonus_micro: int) -> None:
    """The sign-up bonus, if there is one and it was not given before. Raises NotFound for the organization."""
    if bonus_micro == 0:
        return
    # Asked beforehand too: the amount may have been another one when it was given.
    given = await connection.fetchval(
        "select true from credit_entry where organization_id = $1 and idempotency_key = $2", organization_id, BONUS_KEY
    )
    if not given:
        await grant(
            connection,
            organization_id,
            amount_micro=bonus_micro,
            reason="Welcome",
            reference=BONUS_KEY,
            idempotency_key=BONUS_KEY,
        )


async def _claim_bonus(connection: Any, settings: SecretSettings, organization_id: UUID, email: str) -> bool:
    """Whether this mailbox has its bonus now; False if it had it before, under whatever alias and account."""
    digest, *former = map(bytes.fromhex, macs(settings, "bonus", mailbox_of(email)))
    # What was claimed before SECRET_KEYS had their newest version stays claimed.
    if await connection.fetchval(
        "select true from bonus_claim where mailbox_digest = any($1::bytea[]) limit 1", former
    ):
        return False
    claimed = await connection.fetchval(
        "insert into bonus_claim (mailbox_digest, organization_id) values ($1, $2)"
        " on conflict on constraint uq_bonus_claim_mailbox_digest do nothing returning id",
        digest,
        organization_id,
    )
    return claimed is not None


async def _own(connection: Any, organization_id: UUID, email: str) -> None:
    owned = await connection.fetchval(
        "insert into membership (organization_id, user_id, role) select $1, id, 'owner' from users where email = $2"
        " returning id",
        organization_id,
        email,
    )
    if owned is None:
        raise NotFound(f"There is no user {email}.")
