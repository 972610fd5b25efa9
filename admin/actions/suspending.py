"""Suspending an organization, and restoring it."""

from admin.actions.action import Action, Outcome, Preview, Values
from admin.actions.organization_field import ORGANIZATION, Slug
from admin.web.visit import Visit
from domain import audit, organizations
from domain.audit import Thing, Verb
from domain.faults import Conflict
from domain.operators import Right


class Chosen(Values):
    """The organization."""

    organization: Slug


async def _preview_suspending(visit: Visit, values: Chosen) -> Preview:
    found = await organizations.fetch_organization(visit.connection, values.organization)
    if found.state != "active":
        raise Conflict(f"{found.name} is {found.state} already.")
    keys = await _living_keys(visit, values)
    return Preview(
        (
            f"All requests with the {keys:,} living API keys of {found.name} are refused with 403 within a second.",
            "Keys, credits and subscription stay as they are, and its people can still sign in and read.",
        ),
        (("State", "active", "suspended"),),
    )


async def _suspend(visit: Visit, values: Chosen, reason: str) -> Outcome:
    await _require_still(visit, values, "active")
    found = await organizations.suspend(visit.connection, values.organization)
    await _record(visit, found, Verb.ORGANIZATION_SUSPEND, "active", "suspended", reason)
    return Outcome(f"{found.name} is suspended.", _links(found))


async def _preview_restoring(visit: Visit, values: Chosen) -> Preview:
    found = await organizations.fetch_organization(visit.connection, values.organization)
    if found.state != "suspended":
        raise Conflict(f"{found.name} is {found.state}, not suspended.")
    keys = await _living_keys(visit, values)
    return Preview(
        (f"The {keys:,} living API keys of {found.name} are taken again within a second.",),
        (("State", "suspended", "active"),),
    )


async def _restore(visit: Visit, values: Chosen, reason: str) -> Outcome:
    await _require_still(visit, values, "suspended")
    found = await organizations.restore(visit.connection, values.organization)
    await _record(visit, found, Verb.ORGANIZATION_RESTORE, "suspended", "active", reason)
    return Outcome(f"{found.name} is active again.", _links(found))


async def _require_still(visit: Visit, values: Chosen, state: str) -> None:
    """Raise Conflict if somebody was quicker; until the transaction ends nobody is."""
    now = await visit.connection.fetchval(
        "select state from organization where slug = $1 for no key update", values.organization
    )
    if now != state:
        raise Conflict(f"The organization is {now} already: somebody was quicker.")


async def _record(
    visit: Visit, found: organizations.OrganizationRecord, verb: Verb, was: str, is_now: str, reason: str
) -> None:
    await audit.record(
        visit.connection,
        visit.actor,
        verb,
        Thing("organization", str(found.id), found.name),
        organization_id=found.id,
        before={"state": was},
        after={"state": is_now},
        reason=reason,
    )


async def _living_keys(visit: Visit, values: Chosen) -> int:
    count: int = await visit.connection.fetchval(
        "select count(*) from api_key k join organization o on o.id = k.organization_id where o.slug = $1"
        " and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())",
        values.organization,
    )
    return count


def _links(found: organizations.OrganizationRecord) -> tuple[tuple[str, str], ...]:
    return ((f"To {found.name}", f"/organizations/{found.slug}"),)


ACTIONS = (
    Action(
        slug="suspend-organization",
        title="Suspend an organization",
        group="Customers",
        right=Right.SUPPORT,
        summary="Its API keys are refused until it is restored; nothing else is lost.",
        model=Chosen,
        fields=(ORGANIZATION,),
        preview=_preview_suspending,
        carry_out=_suspend,
        button="Suspend",
        danger=True,
    ),
    Action(
        slug="restore-organization",
        title="Restore an organization",
        group="Customers",
        right=Right.SUPPORT,
        summary="A suspended organization's API keys are taken again.",
        model=Chosen,
        fields=(ORGANIZATION,),
        preview=_preview_restoring,
        carry_out=_restore,
        button="Restore",
    ),
)
