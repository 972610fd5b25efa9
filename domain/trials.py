"""Trials: a plan for some days, perhaps with a number of calls; one for each organization, and one for each address."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from domain import lifecycle
from domain.faults import Conflict, InvalidValue
from domain.lifecycle import Subscription
from domain.open_organizations import held_state
from domain.portal_settings import SecretSettings
from domain.sealing import macs
from domain.subscription_rows import Move, as_settled, fetch_subscription, insert, transition
from domain.subscriptions import PlanRow, plan_for_sale

_HAD = "The organization, or this e-mail address, has had its trial."
DEFAULT_DAYS = 14
"""Of a plan that says only how many calls its trial has."""
LONGEST_EMAIL = 254
_VERIFIED = """
    select u.email from membership m join users u on u.id = m.user_id
    where m.organization_id = $1 and u.email_verified_at is not null
    order by m.role <> 'owner', m.created_at limit 1
"""
_DIGEST = "@digest.invalid"
"""Behind the keyed digest that stands for an address: claims are for ever, and people are not."""
_CLAIMED = "select true from trial_claim where email = any($1::text[]) limit 1"
_CLAIM = "insert into trial_claim (organization_id, email) values ($1, $2) on conflict do nothing returning id"
_IN_CLEAR = f"select id, email from trial_claim where email not like '%{_DIGEST}' order by id limit $1 for update"
_SEAL = "update trial_claim set email = $2 where id = $1"
SEALED_AT_ONCE = 500


async def verified_email(connection: Any, organization_id: UUID) -> str | None:
    """A verified address of one of its members, owners first; None if there is none."""
    found: str | None = await connection.fetchval(_VERIFIED, organization_id)
    return found


async def start_trial(
    connection: Any,
    organization_id: UUID,
    plan_slug: str,
    *,
    email: str,
    secrets: SecretSettings | None = None,
    now: datetime | None = None,
) -> Subscription:
    """Begin the one trial of an organization and of an address, which the caller knows to be verified.

    With `secrets` a keyed digest of the address is kept in its place. An organization on a plan that costs nothing
    returns to it afterwards. Raises NotFound, InvalidValue, Conflict (no trial is offered, one was had, it pays for a plan).
    """
    address = _valid_email(email)
    plan = await plan_for_sale(connection, plan_slug)
    if plan.trial_days == 0 and plan.trial_calls is None:
        raise Conflict(f"The plan {plan.slug} is sold without a trial.")
    digests = [] if secrets is None else [f"{digest}{_DIGEST}" for digest in macs(secrets, "trial", address)]
    kept, *former = [*digests, address]
    async with connection.transaction():
        await held_state(connection, organization_id)
        if await connection.fetchval(_CLAIMED, former):
            raise Conflict(_HAD)
        # Of two at once the second waits here for the first, and then finds its claim.
        if await connection.fetchval(_CLAIM, organization_id, kept) is None:
            raise Conflict(_HAD)
        moment = (now or await connection.fetchval("select clock_timestamp()")).astimezone(UTC)
        end = moment + timedelta(days=plan.trial_days or DEFAULT_DAYS)
        held = await fetch_subscription(connection, organization_id)
        if held is not None and (await transition(connection, organization_id, as_settled, now=moment)).live:
            return await transition(connection, organization_id, _onto(plan, end), now=moment)
        begun = Subscription(uuid4(), organization_id, plan.id, "trialing", moment, moment, end, trial_ends_at=end)
        if not await insert(connection, begun):
            raise Conflict("The organization has a live subscription.")
        return begun


async def extend_trial(
    connection: Any, organization_id: UUID, by: timedelta, *, now: datetime | None = None
) -> Subscription:
    """Let a trial that runs end later. Raises NotFound, Conflict, InvalidValue."""
    return await transition(
        connection, organization_id, lambda subscription, *_: lifecycle.extended(subscription, by), now=now
    )


async def seal_claims(connection: Any, secrets: SecretSettings) -> int:
    """Put digests in the place of addresses: of trials begun without a key, or by an older version. How many; 0 without a key.

    At most SEALED_AT_ONCE. Two claims never meet in one digest: who begins a trial looks for the address and for its digests.
    """
    if not macs(secrets, "trial", ""):
        return 0
    async with connection.transaction():
        rows = await connection.fetch(_IN_CLEAR, SEALED_AT_ONCE)
        await connection.executemany(
            _SEAL, [(row["id"], f"{macs(secrets, 'trial', row['email'])[0]}{_DIGEST}") for row in rows]
        )
    return len(rows)


def _onto(plan: PlanRow, end: datetime) -> Move:
    def move(subscription: Subscription, terms: lifecycle.Terms, now: datetime) -> Subscription:
        if subscription.state != "active" or not terms.free or subscription.plan_id == plan.id:
            raise Conflict("A trial begins from a plan that costs nothing, and on another one.")
        return replace(
            subscription,
            state="trialing",
            plan_id=plan.id,
            plan_version_id=None,
            next_plan_id=subscription.plan_id,
            period_start=now,
            period_end=end,
            trial_ends_at=end,
        )

    return move


def _valid_email(text: str) -> str:
    address = text.strip().lower()
    local, at, host = address.partition("@")
    if not (local and at and host) or len(address) > LONGEST_EMAIL or not address.isprintable():
        raise InvalidValue("That is no e-mail address.")
    return address
