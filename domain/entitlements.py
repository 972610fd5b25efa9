"""What an organization is entitled to at a moment: pure, from its subscription, the terms, its overrides, and the time.

The gateway asks the same rules (`access_until`, `effective_limits`), so time alone ends what has ended, also while no job
runs. A job that is late takes nothing from those who have done their part: what will be renewed goes on for the plan's
days of grace, at least for LATE_JOB.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from domain import lifecycle
from domain.lifecycle import Subscription, grace_end
from domain.limit_overrides import holding, overridden
from domain.plan_terms import PlanTerms
from domain.prices import price_micro
from domain.snapshots import LimitOverride, LimitSnapshot, OperationSnapshot

LATE_JOB = timedelta(hours=1)
TRIAL_LIMIT = "trial"
_TRIAL_SCOPE = UUID("6f9e7a0e-1c53-4c0e-9d7d-1a3f6b0f5b11")
_ENDS = {"trialing": "the trial is over", "past_due": "unpaid", "active": "not renewed"}


@dataclass(frozen=True, slots=True)
class Entitlements:
    """`state` is none, trialing, active, grace or ended, `why` says in words why, `until` is when access ends by itself.

    `limits` are those that may refuse: who pays with credits has no quotas. `next_change` is what is due next
    (`lifecycle.next_change`). Without access there are no limits, and nothing has a price.
    """

    state: str
    why: str
    until: datetime | None
    next_change: tuple[datetime, str] | None
    billing_mode: str
    limits: tuple[LimitSnapshot, ...]
    overage: str
    terms: PlanTerms | None

    @property
    def access(self) -> bool:
        """Whether requests are served."""
        return self.terms is not None

    @property
    def quotas(self) -> tuple[LimitSnapshot, ...]:
        """Limits on units."""
        return tuple(limit for limit in self.limits if limit.unit == "quota")

    def price_micro(self, operation: OperationSnapshot | None) -> int:
        """Micro-credits of a request; on quotas, of one beyond them: 0 where these are refused."""
        if self.terms is None or (self.billing_mode == "quota" and self.overage == "block"):
            return 0
        return price_micro(self.terms, operation)


def entitlements(
    terms: PlanTerms,
    overrides: Iterable[LimitOverride],
    subscription: Subscription | None,
    now: datetime,
    billing_mode: str = "credits",
) -> Entitlements:
    """What holds at `now`. `terms` are those of the subscription's version, or else of its plan."""
    if subscription is None:
        return Entitlements("none", "no subscription", None, None, billing_mode, (), terms.overage, None)
    rules = lifecycle_terms(terms)
    state, why = _standing(subscription, rules, now)
    access = state in {"trialing", "active", "grace"}
    return Entitlements(
        state=state,
        why=why,
        until=access_until(subscription, rules) if access else None,
        next_change=lifecycle.next_change(subscription, rules) if access else None,
        billing_mode=billing_mode,
        limits=_limits(terms, overrides, subscription, now, billing_mode) if access else (),
        overage=terms.overage,
        terms=terms if access else None,
    )


def lifecycle_terms(terms: PlanTerms) -> lifecycle.Terms:
    """What of these terms decides the lifecycle."""
    return lifecycle.Terms(free=terms.price_cents == 0, grace_days=terms.grace_days)


def access_until(subscription: Subscription, terms: lifecycle.Terms) -> datetime | None:
    """The first moment without access if nothing is done; None: never. Of what has ended, a moment that is past."""
    if not subscription.live:
        return subscription.ended_at or subscription.period_start
    late = max(timedelta(days=terms.grace_days), LATE_JOB)
    end: datetime | None
    if subscription.state == "trialing":
        followed = terms.free or subscription.next_plan_id is not None
        end = subscription.trial_end + LATE_JOB if followed else subscription.trial_end
    elif subscription.state == "past_due":
        end = grace_end(subscription, terms)
    else:
        end = None if terms.free else subscription.period_end + late
    if subscription.cancel_at is not None and (end is None or subscription.cancel_at < end):
        return subscription.cancel_at
    return end


def _limits(
    terms: PlanTerms, overrides: Iterable[LimitOverride], subscription: Subscription, now: datetime, billing_mode: str
) -> tuple[LimitSnapshot, ...]:
    """What counts for this organization: as `quotas.costs.applying`, quotas only for who is on quotas."""
    found = effective_limits(
        terms.limits,
        subscription.plan_id,
        holding(overrides, now.timestamp()),
        terms.trial_calls if subscription.state == "trialing" else None,
    )
    return found if billing_mode == "quota" else tuple(limit for limit in found if limit.unit != "quota")


def effective_limits(
    limits: tuple[LimitSnapshot, ...], plan_id: UUID, overrides: tuple[LimitOverride, ...], trial_calls: int | None
) -> tuple[LimitSnapshot, ...]:
    """The plan's limits with overrides; in a trial, with its number of calls as one more, for each month of it."""
    if trial_calls is not None and all(limit.name != TRIAL_LIMIT for limit in limits):
        limits = (*limits, trial_limit(plan_id, trial_calls))
    return overridden(limits, overrides) if overrides else limits


def trial_limit(plan_id: UUID, calls: int) -> LimitSnapshot:
    """The number of calls of a plan's trial, as a limit that always has the same id."""
    return LimitSnapshot(uuid5(_TRIAL_SCOPE, plan_id.hex), TRIAL_LIMIT, calls, "month", "organization", shadow=False)


def _standing(subscription: Subscription, terms: lifecycle.Terms, now: datetime) -> tuple[str, str]:
    """State and reason at `now`."""
    if not subscription.live:
        return "ended", subscription.state
    end = access_until(subscription, terms)
    if end is not None and end <= now:
        wished = subscription.cancel_at is not None and subscription.cancel_at <= end
        return "ended", "cancelled" if wished else _ENDS[subscription.state]
    if subscription.state == "past_due":
        return "grace", "unpaid"
    if subscription.state == "trialing":
        return ("trialing", "in trial") if now < subscription.trial_end else ("grace", "the first period is due")
    if terms.free or now < subscription.period_end:
        return "active", "in a paid period" if subscription.cancel_at is None else "to be cancelled"
    return "grace", "the next period is due"
