"""What a member may do to the organization's subscription and spend caps.

Nobody can pay yet, so nobody gets a plan with a price by themselves: but for its one trial, only plans that cost nothing
can be chosen. Taking a cancellation back never says that an unpaid period is paid.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain import audit, lifecycle, subscriptions, trials
from domain.access import Access, Permission
from domain.entitlements import Entitlements
from domain.faults import Conflict, Forbidden, NotFound
from domain.lifecycle import Subscription
from domain.limit_use import LimitUse, caps_in_use, limits_in_use
from domain.organizations import OrganizationRecord, fetch_organization
from domain.plan_offers import PlanOffer, list_offers
from domain.plans import PlanRecord, fetch_plan
from domain.portal_settings import SecretSettings
from domain.spend_caps import CapChange, change_organization_caps
from domain.subscription_reading import SubscriptionRecord, fetch_entitlements, fetch_record
from domain.subscription_rows import as_settled, fetch_subscription, transition
from domain.team import held

_NO_SUBSCRIPTION = "The organization has no subscription."


@dataclass(frozen=True, slots=True)
class Standing:
    """The subscription with what it gives now. `record`, `plan` and `entitled` are None if there never was one."""

    organization: OrganizationRecord
    record: SubscriptionRecord | None
    plan: PlanRecord | None
    entitled: Entitlements | None
    limits: list[LimitUse]
    caps: list[LimitUse]
    offers: list[PlanOffer]


async def fetch_standing(connection: Any, access: Access) -> Standing:
    """Everything about the subscription of the organization. Raises Forbidden."""
    access.require(Permission.BILLING_VIEW)
    now = datetime.now(UTC)
    organization = await fetch_organization(connection, access.organization_id)
    subscription = await fetch_subscription(connection, access.organization_id)
    if subscription is None:
        offers = await list_offers(connection, access, None, free=True)
        return Standing(
            organization, None, None, None, [], await caps_in_use(connection, organization, None, now), offers
        )
    record = await fetch_record(connection, access.organization_id)
    entitled = await fetch_entitlements(connection, access.organization_id, now=now)
    assert entitled is not None  # there is a subscription
    free = entitled.terms is not None and entitled.terms.price_cents == 0
    return Standing(
        organization,
        record,
        await fetch_plan(connection, record.plan),
        entitled,
        await limits_in_use(connection, subscription, entitled, now),
        await caps_in_use(connection, organization, subscription, now),
        await list_offers(connection, access, record, free=free),
    )


async def change_plan(connection: Any, access: Access, actor: audit.Actor, plan_slug: str) -> None:
    """Go to a public plan that costs nothing: a higher one at once, a lower one at the period's end. Inside a transaction.

    Raises Forbidden, NotFound (none, or not public), Conflict (it has a price, it is the present one, it takes nobody).
    """
    access = await _held(connection, access)
    plan = await _public_plan(connection, plan_slug)
    if plan.price_cents > 0:
        raise Conflict(f"The plan {plan.name} has a price, and payments are not open yet. Contact us to change to it.")
    before = await _settled(connection, access)
    if before is not None and before.live and before.plan_id == plan.id:
        raise Conflict(f"The organization is on the plan {plan.name} already.")
    if before is None or not before.live:
        await subscriptions.subscribe(connection, access.organization_id, plan.slug)
    else:
        await subscriptions.change_plan(connection, access.organization_id, plan.slug, at="rank")
    await _noted(connection, access, actor, audit.Verb.SUBSCRIPTION_CHANGE, before)


async def keep_plan(connection: Any, access: Access, actor: audit.Actor) -> None:
    """Take a change back that would come with the next period. Inside a transaction. Raises Forbidden, Conflict."""

    def move(subscription: Subscription, _: lifecycle.Terms, __: datetime) -> Subscription:
        # A trial's next plan is what it ends on: without it, access would end with the trial.
        if subscription.next_plan_id is None or subscription.state == "trialing" or not subscription.live:
            raise Conflict("No change of the plan is waiting.")
        return lifecycle.changed_at_period_end(subscription, subscription.plan_id)

    await _move(connection, access, actor, move, audit.Verb.SUBSCRIPTION_CHANGE)


async def start_trial(
    connection: Any, access: Access, actor: audit.Actor, plan_slug: str, secrets: SecretSettings
) -> None:
    """Begin the one trial of the organization and of the actor's verified address. Inside a transaction.

    Raises Forbidden (an address that is not verified), NotFound, Conflict (no trial, or one was had).
    """
    access = await _held(connection, access)
    plan = await _public_plan(connection, plan_slug)
    email = await connection.fetchval(
        "select email from users where id = $1 and email_verified_at is not null", access.user_id
    )
    if email is None:
        raise Forbidden("Verify your e-mail address before you begin a trial.")
    before = await _settled(connection, access)
    await trials.start_trial(connection, access.organization_id, plan.slug, email=email, secrets=secrets)
    await _noted(connection, access, actor, audit.Verb.SUBSCRIPTION_CHANGE, before)


async def cancel(connection: Any, access: Access, actor: audit.Actor) -> None:
    """End the subscription with its period, or with the trial. Inside a transaction. Raises Forbidden, Conflict."""

    def move(subscription: Subscription, _: lifecycle.Terms, now: datetime) -> Subscription:
        if not subscription.live or subscription.cancel_at is not None:
            raise Conflict("The subscription has ended, or is cancelled already.")
        return lifecycle.cancelled_at_period_end(subscription, now)

    await _move(connection, access, actor, move, audit.Verb.SUBSCRIPTION_CANCEL)


async def resume(connection: Any, access: Access, actor: audit.Actor) -> None:
    """Take a cancellation back that has not happened yet. Inside a transaction. Raises Forbidden, Conflict."""

    def move(subscription: Subscription, _: lifecycle.Terms, __: datetime) -> Subscription:
        if not subscription.live or subscription.cancel_at is None:
            raise Conflict("The subscription is not cancelled, or has ended already.")
        return replace(subscription, cancel_at=None)

    await _move(connection, access, actor, move, audit.Verb.SUBSCRIPTION_RESUME)


async def set_caps(connection: Any, access: Access, actor: audit.Actor, caps: CapChange) -> OrganizationRecord:
    """Set or take off the organization's spend caps. Inside a transaction. Raises Forbidden, InvalidValue."""
    access = await _held(connection, access)
    return await change_organization_caps(connection, actor, access.organization_id, caps)


async def _held(connection: Any, access: Access) -> Access:
    access = await held(connection, access)
    access.require(Permission.BUY)
    return access


async def _settled(connection: Any, access: Access) -> Subscription | None:
    """The subscription with all that was due stored, so that one that is over by time alone stands in nobody's way."""
    if await fetch_subscription(connection, access.organization_id) is None:
        return None
    return await transition(connection, access.organization_id, as_settled)


async def _public_plan(connection: Any, slug: str) -> PlanRecord:
    plan = await fetch_plan(connection, slug)
    if not plan.public:
        raise NotFound(f"There is no plan {slug}.")
    return plan


async def _move(connection: Any, access: Access, actor: audit.Actor, move: Any, verb: audit.Verb) -> None:
    access = await _held(connection, access)
    before = await fetch_subscription(connection, access.organization_id)
    if before is None:
        raise Conflict(_NO_SUBSCRIPTION)
    await transition(connection, access.organization_id, move)
    await _noted(connection, access, actor, verb, before)


async def _noted(
    connection: Any, access: Access, actor: audit.Actor, verb: audit.Verb, before: Subscription | None
) -> None:
    after = await fetch_subscription(connection, access.organization_id)
    assert after is not None  # it was just written
    ids: list[UUID] = [id_ for one in (before, after) if one for id_ in (one.plan_id, one.next_plan_id) if id_]
    slugs = dict(await connection.fetch("select id, slug from plan where id = any($1)", ids))

    def told(one: Subscription) -> dict[str, Any]:
        following = slugs[one.next_plan_id] if one.next_plan_id else None
        return {
            "plan": slugs[one.plan_id],
            "state": one.state,
            "next_plan": following,
            "cancel_at": one.cancel_at,
        }

    await audit.record(
        connection,
        actor,
        verb,
        audit.Thing("subscription", str(after.id), slugs[after.plan_id]),
        organization_id=access.organization_id,
        before=told(before) if before else None,
        after=told(after),
    )
