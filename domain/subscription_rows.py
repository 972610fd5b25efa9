"""Subscriptions as rows. Each transition is one conditional statement: of two at once one is made, the other Conflict."""

from collections.abc import Callable
from dataclasses import astuple, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.faults import Conflict, NotFound
from domain.lifecycle import LIVE, Subscription, Terms, settled
from domain.webhooks.announcing import subscription_changed

Move = Callable[[Subscription, Terms, datetime], Subscription]

_FIELDS = tuple(field.name for field in fields(Subscription))
_COLUMNS = ", ".join(f"s.{name}" for name in _FIELDS)
_SELECT = f"""
    select {_COLUMNS}, coalesce((v.terms->>'price_cents')::bigint, p.price_cents) = 0 as free,
           coalesce((v.terms->>'grace_days')::int, p.grace_days) as grace_days, clock_timestamp() as now
    from subscription s join plan p on p.id = s.plan_id
    left join plan_version v on v.id = s.plan_version_id and v.plan_id = s.plan_id
"""
# The live one, of which there is at most one; else the one that ended last.
_OF_ORGANIZATION = f"""
    where s.organization_id = $1
    order by s.state in {LIVE} desc, s.ended_at desc nulls last, s.started_at desc, s.created_at desc limit 1
"""
_CHANGED = (
    "plan_id",
    "state",
    "period_start",
    "period_end",
    "cancel_at",
    "next_plan_id",
    "trial_ends_at",
    "grace_until",
)
_TYPES = {"plan_id": "uuid", "next_plan_id": "uuid", "state": "text"}
# An edit of the plan may pin the subscription meanwhile; that changes nothing of what is decided here.
_UPDATE = f"""
    update subscription set
        {", ".join(f"{name} = ${place}" for place, name in enumerate(_CHANGED, 2))},
        ended_at = $18, plan_version_id = case when $19 then plan_version_id end
    where id = $1 and {
    " and ".join(
        f"{name} is not distinct from ${place}::{_TYPES.get(name, 'timestamptz')}"
        for place, name in enumerate(_CHANGED, 10)
    )
} returning id
"""


class NoTransition(Conflict):
    """Somebody else changed the subscription at the same time."""


def as_settled(subscription: Subscription, terms: Terms, now: datetime) -> Subscription:
    """The move that only stores what was due."""
    del terms, now
    return subscription


async def fetch_subscription(connection: Any, organization_id: UUID) -> Subscription | None:
    """The organization's live subscription as it is stored, or else the last one; None if it never had any."""
    row = await connection.fetchrow(_SELECT + _OF_ORGANIZATION, organization_id)
    return None if row is None else _subscription(row)


async def transition(
    connection: Any, organization_id: UUID, move: Move, *, now: datetime | None = None
) -> Subscription:
    """Apply `move` to the organization's subscription as it is settled at `now` (default: the database's clock).

    Raises what `move` raises; NotFound without any subscription; Conflict if it changed at the same time.
    """
    row = await connection.fetchrow(_SELECT + _OF_ORGANIZATION, organization_id)
    if row is None:
        raise NotFound("The organization has no subscription.")
    return await _moved(connection, row, move, now or row["now"])


async def foresee(connection: Any, organization_id: UUID, move: Move) -> tuple[Subscription, Subscription, datetime]:
    """The subscription as it is settled now, what `move` would make of it, and that moment. Nothing is stored.

    Raises what `move` raises; NotFound without any subscription.
    """
    row = await connection.fetchrow(_SELECT + _OF_ORGANIZATION, organization_id)
    if row is None:
        raise NotFound("The organization has no subscription.")
    terms, now = Terms(row["free"], row["grace_days"]), row["now"]
    before = settled(_subscription(row), terms, now)
    return before, move(before, terms, now), now


async def settle(connection: Any, subscription_id: UUID, now: datetime) -> tuple[Subscription, Subscription] | None:
    """Store what is due of one subscription: as it was, and as it is. None: nothing is due, or somebody else is at it.

    Inside the caller's transaction.
    """
    row = await connection.fetchrow(_SELECT + "where s.id = $1 for update of s skip locked", subscription_id)
    if row is None:
        return None
    before = _subscription(row)
    after = await _moved(connection, row, as_settled, now)
    return None if after == before else (before, after)


async def _moved(connection: Any, row: Any, move: Move, now: datetime) -> Subscription:
    before, terms = _subscription(row), Terms(row["free"], row["grace_days"])
    after = move(settled(before, terms, now), terms, now)
    if after == before:
        return after
    if not await _write(connection, before, after):
        raise NoTransition("The subscription was changed at the same time. Look at it, then try again.")
    await subscription_changed(connection, after)
    return after


async def _write(connection: Any, before: Subscription, after: Subscription) -> bool:
    written: UUID | None = await connection.fetchval(
        _UPDATE,
        before.id,
        *(getattr(after, name) for name in _CHANGED),
        *(getattr(before, name) for name in _CHANGED),
        after.ended_at,
        after.plan_version_id == before.plan_version_id,
    )
    return written is not None


def _subscription(row: Any) -> Subscription:
    return Subscription(*(row[name] for name in _FIELDS))


async def insert(connection: Any, subscription: Subscription) -> bool:
    """Store a new one; False if the organization has a live one. The caller holds the organization open."""
    inserted: UUID | None = await connection.fetchval(
        f"insert into subscription ({', '.join(_FIELDS)}) values ({', '.join(f'${n + 1}' for n in range(len(_FIELDS)))})"
        f" on conflict (organization_id) where state in {LIVE} do nothing returning id",
        *astuple(subscription),
    )
    if inserted is not None:
        await subscription_changed(connection, subscription)
    return inserted is not None
