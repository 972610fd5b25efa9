"""Subscriptions and terms for tests, with everything at one round moment."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from domain.lifecycle import Subscription
from domain.plan_terms import PlanTerms

START = datetime(2027, 1, 31, 12, tzinfo=UTC)
PLAN, OTHER = UUID(int=1), UUID(int=2)


def after(days: float) -> datetime:
    """So many days after START."""
    return START + timedelta(days=days)


def subscription(**changes) -> Subscription:
    """Active, in its first month (which has 28 days), on PLAN."""
    values = {
        "id": UUID(int=7),
        "organization_id": UUID(int=8),
        "plan_id": PLAN,
        "state": "active",
        "started_at": START,
        "period_start": START,
        "period_end": after(28),
    }
    return Subscription(**(values | changes))


def trial(days: float = 14, **changes) -> Subscription:
    """In a trial that began at START."""
    return subscription(**({"state": "trialing", "period_end": after(days), "trial_ends_at": after(days)} | changes))


def terms(*limits, **changes) -> PlanTerms:
    """Of a plan of 49.00 a month with 3 days of grace."""
    values = {
        "limits": limits,
        "overage": "block",
        "prices": {},
        "quota_costs": {},
        "price_cents": 4_900,
        "currency": "USD",
        "trial_days": 14,
        "trial_calls": None,
        "grace_days": 3,
    }
    return PlanTerms(**(values | changes))


def fresh(stem: str) -> str:
    """A name that nobody has."""
    return f"{stem}-{uuid4().hex[:10]}"
