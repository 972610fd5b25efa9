"""What time brings: periods that follow each other, trials, grace and cancellations that end. Jobs call `settle_due`.

Nothing is lost when it is called late or never at once: each subscription is brought to where it stands at that moment
(`lifecycle.settled`), over several missed periods too, in a transaction of its own.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.faults import Conflict
from domain.lifecycle import LIVE, Subscription
from domain.subscription_rows import as_settled, fetch_subscription, settle, transition

_IS_DUE = f"""
    from subscription s join plan p on p.id = s.plan_id
    where s.state in {LIVE} and (
        s.cancel_at <= $1
        or case s.state
            when 'active' then s.period_end
            when 'trialing' then coalesce(s.trial_ends_at, s.period_end)
            else coalesce(s.grace_until, s.period_end + p.grace_days * interval '24 hours')
        end <= $1)
"""


@dataclass(frozen=True, slots=True)
class Settled:
    """One subscription that was brought up to date."""

    organization_id: UUID
    before: Subscription
    after: Subscription


async def settle_due(connection: Any, *, now: datetime | None = None, most: int = 1_000) -> list[Settled]:
    """Make every transition that is due by `now`, of at most `most` subscriptions; what was made.

    Any number of processes may do it at once: each subscription is settled by one of them. Killed, it has made some of
    them whole, and none by half.
    """
    moment = now or await connection.fetchval("select clock_timestamp()")
    made = []
    for row in await connection.fetch(f"select s.id {_IS_DUE} order by s.period_end, s.id limit $2", moment, most):
        async with connection.transaction():
            done = await settle(connection, row["id"], moment)
        if done is not None:
            made.append(Settled(done[0].organization_id, *done))
    return made


async def count_overdue(connection: Any, since: datetime) -> int:
    """Live subscriptions of which something was due at `since` already."""
    return int(await connection.fetchval(f"select count(*) {_IS_DUE}", since))


async def roll(connection: Any, organization_id: UUID, *, now: datetime | None = None) -> Subscription:
    """Begin the period that is due, or end what has run out. Raises NotFound; Conflict if nothing is due."""
    before = await fetch_subscription(connection, organization_id)
    after = await transition(connection, organization_id, as_settled, now=now)
    if after == before:
        raise Conflict(f"Nothing is due of the subscription, which is {after.state}.")
    return after
