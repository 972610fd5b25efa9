"""What a subscription can become, and when: pure functions on one value. `domain.subscription_rows` stores what they say.

What is due at a moment has happened before anything that is asked at that moment: every command is given the
subscription as it is `settled` then. Several things due at the same moment happen in this order, and the first that
ends the subscription is the last:

    1. the customer's cancellation (`cancel_at`)          -> cancelled
    2. the end of the grace of an unpaid period           -> expired
    3. the end of a trial: on the next plan, or a plan that costs nothing -> active, a new period; otherwise -> expired
    4. the end of a paid period                           -> active, the next period, on the next plan if there is one

A new period follows the plan's own terms. Settling late, in one step or in many, gives the same.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from domain.billing_periods import anchor_of, counted_from, months_after, months_between
from domain.faults import Conflict, InvalidValue

LIVE_STATES = ("trialing", "active", "past_due")
LIVE = "('trialing', 'active', 'past_due')"
"""The same in SQL."""
LONGEST_EXTENSION = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Subscription:
    """One row. `plan_version_id` None: the plan's own terms; `next_plan_id`: from the next period (or a trial's end) on."""

    id: UUID
    organization_id: UUID
    plan_id: UUID
    state: str
    started_at: datetime
    period_start: datetime
    period_end: datetime
    cancel_at: datetime | None = None
    plan_version_id: UUID | None = None
    next_plan_id: UUID | None = None
    trial_ends_at: datetime | None = None
    grace_until: datetime | None = None
    ended_at: datetime | None = None

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.state in LIVE_STATES

    @property
    def trial_end(self) -> datetime:
        """When a trial that runs is over."""
        return self.trial_ends_at or self.period_end

    @property
    def anchor(self) -> datetime:
        """What its periods are counted from: the begin of the paid part, or of one that was extended."""
        paid_from = self.started_at if self.state == "trialing" else self.trial_ends_at or self.started_at
        return counted_from(paid_from, self.period_start, self.period_end)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the lifecycle has to know of the plan: whether it costs nothing, and its days of grace."""

    free: bool
    grace_days: int


def grace_end(subscription: Subscription, terms: Terms) -> datetime:
    """Until when an unpaid plan applies."""
    return subscription.grace_until or subscription.period_end + timedelta(days=terms.grace_days)


def next_change(subscription: Subscription, terms: Terms) -> tuple[datetime, str] | None:
    """What is due next, and when: cancel, expire, end_trial or renew. None for what has ended."""
    if not subscription.live:
        return None
    by_state = {
        "trialing": (subscription.trial_end, "end_trial"),
        "active": (subscription.period_end, "renew"),
        "past_due": (grace_end(subscription, terms), "expire"),
    }
    due = by_state[subscription.state]
    if subscription.cancel_at is not None and subscription.cancel_at <= due[0]:
        return subscription.cancel_at, "cancel"
    return due


def settled(subscription: Subscription, terms: Terms, now: datetime) -> Subscription:
    """The subscription at `now`, when all that was due by then has happened, in order."""
    while (due := next_change(subscription, terms)) is not None and due[0] <= now:
        at, what = due
        if what == "cancel":
            subscription = replace(subscription, state="cancelled", ended_at=at)
        elif what == "expire" or (what == "end_trial" and not terms.free and subscription.next_plan_id is None):
            subscription = replace(subscription, state="expired", ended_at=at)
        elif what == "end_trial":
            subscription = _begun_at(replace(subscription, trial_ends_at=at), at)
        else:
            subscription = _renewed(subscription)
    return subscription


def changed_at_once(subscription: Subscription, plan_id: UUID, now: datetime) -> Subscription:
    """On another plan from now on, in the same period. A trial ends with it: the first period begins. Raises Conflict."""
    _must_live(subscription)
    subscription = replace(subscription, next_plan_id=None)
    if subscription.state == "trialing":
        return _begun_at(replace(subscription, next_plan_id=plan_id, trial_ends_at=now), now)
    if subscription.plan_id == plan_id:
        return subscription
    return replace(subscription, plan_id=plan_id, plan_version_id=None)


def changed_at_period_end(subscription: Subscription, plan_id: UUID) -> Subscription:
    """On another plan from the next period (or the trial's end) on; its own takes a former wish back. Raises Conflict."""
    _must_live(subscription)
    if subscription.state == "trialing":
        return replace(subscription, next_plan_id=plan_id)
    return replace(subscription, next_plan_id=None if plan_id == subscription.plan_id else plan_id)


def cancelled_now(subscription: Subscription, now: datetime) -> Subscription:
    """Ended at once; what has ended stays as it is."""
    if not subscription.live:
        return subscription
    return replace(subscription, state="cancelled", cancel_at=now, ended_at=now)


def cancelled_at_period_end(subscription: Subscription, now: datetime) -> Subscription:
    """To end with the period that is paid, or with the trial; where none is left, at once."""
    if not subscription.live:
        return subscription
    end = subscription.trial_end if subscription.state == "trialing" else subscription.period_end
    return replace(subscription, cancel_at=end) if end > now else cancelled_now(subscription, now)


def reactivated(subscription: Subscription, now: datetime) -> Subscription:
    """Not to be cancelled after all, and paid for if it was not. Raises Conflict for what has ended."""
    _must_live(subscription)
    subscription = replace(subscription, cancel_at=None)
    if subscription.state != "past_due":
        return subscription
    subscription = replace(subscription, state="active", grace_until=None)
    return settled(subscription, Terms(free=False, grace_days=0), now)


def unpaid(subscription: Subscription, terms: Terms, now: datetime) -> Subscription:
    """Past due, with the plan's days of grace from now on; again is no change. Raises Conflict."""
    if subscription.state == "past_due":
        return subscription
    if subscription.state != "active":
        raise Conflict(f"A subscription that is {subscription.state} owes nothing.")
    return replace(subscription, state="past_due", grace_until=now + timedelta(days=terms.grace_days))


def extended(subscription: Subscription, by: timedelta) -> Subscription:
    """A trial that ends later; a cancellation at its end moves with it. Raises Conflict, InvalidValue."""
    if not timedelta(0) < by <= LONGEST_EXTENSION:
        raise InvalidValue(f"A trial is extended by at most {LONGEST_EXTENSION.days} days.")
    if subscription.state != "trialing":
        raise Conflict("The organization is in no trial.")
    end = subscription.trial_end + by
    cancel_at = end if subscription.cancel_at == subscription.trial_end else subscription.cancel_at
    return replace(subscription, trial_ends_at=end, period_end=end, cancel_at=cancel_at)


def prolonged(subscription: Subscription, terms: Terms, by: timedelta) -> Subscription:
    """What runs ends later: a trial, a paid period, or the grace of one that is not paid. Raises Conflict, InvalidValue.

    A cancellation at its end moves with it; later periods are counted from the new end.
    """
    if not timedelta(0) < by <= LONGEST_EXTENSION:
        raise InvalidValue(f"A subscription is extended by at most {LONGEST_EXTENSION.days} days.")
    _must_live(subscription)
    if subscription.state == "trialing":
        return extended(subscription, by)
    if subscription.state == "past_due":
        return replace(subscription, grace_until=grace_end(subscription, terms) + by)
    end = subscription.period_end + by
    cancel_at = end if subscription.cancel_at == subscription.period_end else subscription.cancel_at
    return replace(subscription, period_end=end, cancel_at=cancel_at)


def _must_live(subscription: Subscription) -> None:
    if not subscription.live:
        raise Conflict("The organization has no live subscription.")


def _begun_at(subscription: Subscription, at: datetime) -> Subscription:
    """The first paid period."""
    return replace(
        subscription,
        state="active",
        plan_id=subscription.next_plan_id or subscription.plan_id,
        next_plan_id=None,
        plan_version_id=None,
        period_start=at,
        period_end=months_after(at, 1),
    )


def _renewed(subscription: Subscription) -> Subscription:
    """The period that follows."""
    begin = subscription.period_end
    anchor = anchor_of(subscription.anchor, begin)  # a period that was extended begins another row of months
    return replace(
        subscription,
        plan_id=subscription.next_plan_id or subscription.plan_id,
        next_plan_id=None,
        plan_version_id=None,
        period_start=begin,
        period_end=months_after(anchor, months_between(anchor, begin) + 1),
    )
