"""Organizations: the tenants. One is born with a live subscription, in one transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.faults import Conflict, InvalidValue, NotFound
from domain.key_format import random_text
from domain.names import slug_from, valid_name, valid_slug
from domain.subscriptions import subscribe

SUFFIXES = 20
"""Numbered slugs that are tried before a random one is taken."""

COLUMNS = (
    "o.id, o.slug, o.name, o.state, o.billing_mode, o.created_at, o.spend_cap_day_micro, o.spend_cap_month_micro, (select p.slug from subscription s join plan p on p.id = s.plan_id"
    " where s.organization_id = o.id and s.state in ('trialing', 'active', 'past_due')) as plan_slug"
)


@dataclass(frozen=True, slots=True)
class OrganizationRecord:
    """One organization; `plan_slug` is None without a live subscription, a spend cap None where none is set.

    `billing_mode` is credits or quota.
    """

    id: UUID
    slug: str
    name: str
    state: str
    billing_mode: str
    created_at: datetime
    spend_cap_day_micro: int | None
    spend_cap_month_micro: int | None
    plan_slug: str | None


async def create(
    connection: Any, *, name: str, plan_slug: str, slug: str | None = None, billing_mode: str = "credits"
) -> OrganizationRecord:
    """A new organization with an active subscription to a plan; without `slug`, one is made of the name.

    Raises InvalidValue; NotFound or Conflict for the plan; Conflict for a given slug that is taken.
    """
    name, billing_mode = valid_name(name), _valid_mode(billing_mode)
    async with connection.transaction():
        organization_id = await _insert(connection, name, slug, billing_mode)
        await subscribe(connection, organization_id, plan_slug)
        return await fetch_organization(connection, organization_id)


async def fetch_organization(connection: Any, which: UUID | str) -> OrganizationRecord:
    """One organization by id or slug. Raises NotFound."""
    condition = "o.id = $1" if isinstance(which, UUID) else "o.slug = $1"
    row = await connection.fetchrow(f"select {COLUMNS} from organization o where {condition}", which)
    if row is None:
        raise NotFound(f"There is no organization {which}.")
    return OrganizationRecord(**dict(row))


async def list_organizations(connection: Any, *, most: int = 1000) -> list[OrganizationRecord]:
    """The first `most` organizations by slug."""
    rows = await connection.fetch(f"select {COLUMNS} from organization o order by o.slug limit $1", most)
    return [OrganizationRecord(**dict(row)) for row in rows]


async def suspend(connection: Any, slug: str) -> OrganizationRecord:
    """Refuse the organization's keys until it is restored; again is no change. Raises NotFound, Conflict if closed."""
    return await _set_state(connection, slug, "suspended")


async def restore(connection: Any, slug: str) -> OrganizationRecord:
    """End a suspension; again is no change. Raises NotFound, Conflict if closed."""
    return await _set_state(connection, slug, "active")


async def change(
    connection: Any, slug: str, *, name: str | None = None, billing_mode: str | None = None
) -> OrganizationRecord:
    """Change what is given. Raises NotFound, InvalidValue, Conflict if closed."""
    changed = await connection.fetchval(
        "update organization set name = coalesce($2, name), billing_mode = coalesce($3, billing_mode)"
        " where slug = $1 and state <> 'closed' returning id",
        slug,
        valid_name(name) if name is not None else None,
        _valid_mode(billing_mode) if billing_mode is not None else None,
    )
    return await _changed(connection, slug, changed)


async def _set_state(connection: Any, slug: str, state: str) -> OrganizationRecord:
    changed = await connection.fetchval(
        "update organization set state = $2 where slug = $1 and state <> 'closed' returning id", slug, state
    )
    return await _changed(connection, slug, changed)


async def _changed(connection: Any, slug: str, changed: UUID | None) -> OrganizationRecord:
    found = await fetch_organization(connection, slug if changed is None else changed)
    if changed is None:
        raise Conflict(f"The organization {slug} is closed.")
    return found


def _valid_mode(text: str) -> str:
    if text not in {"credits", "quota"}:
        raise InvalidValue("Requests cost credits or quota: the billing mode is one of these.")
    return text


async def _insert(connection: Any, name: str, slug: str | None, billing_mode: str) -> UUID:
    for candidate in [valid_slug(slug)] if slug else _candidates(name):
        organization_id: UUID | None = await connection.fetchval(
            "insert into organization (slug, name, billing_mode) values ($1, $2, $3)"
            " on conflict on constraint uq_organization_slug do nothing returning id",
            candidate,
            name,
            billing_mode,
        )
        if organization_id is not None:
            return organization_id
    raise Conflict(f"There is already an organization {slug or name}.")


def _candidates(name: str) -> list[str]:
    stem = slug_from(name)
    numbered = [f"{stem}-{number}" for number in range(2, SUFFIXES)]
    return [stem, *numbered, f"{stem}-{random_text(8).lower()}"]
