"""A new customer, in one transaction: organization, subscription, owner, and the credits that one is given to begin with."""

from typing import Any
from uuid import UUID

from domain import organizations
from domain.credits.granting import grant
from domain.faults import NotFound
from domain.organizations import OrganizationRecord

BONUS_KEY = "sign-up"
"""The idempotency key under which an organization gets its bonus: once, whatever becomes of it."""


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


async def _own(connection: Any, organization_id: UUID, email: str) -> None:
    owned = await connection.fetchval(
        "insert into membership (organization_id, user_id, role) select $1, id, 'owner' from users where email = $2"
        " returning id",
        organization_id,
        email,
    )
    if owned is None:
        raise NotFound(f"There is no user {email}.")
