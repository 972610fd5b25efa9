"""What a change of a subscription looks like in a preview: moments, plans, prices and limits, now and then."""

from datetime import datetime
from typing import Any

from admin.actions.wording import utc
from domain.billing_periods import months_after
from domain.lifecycle import Subscription
from domain.limit_words import shared_words
from domain.operating.subscriptions import plan_slugs
from domain.plan_terms import PlanTerms
from domain.plan_versions import terms_of
from domain.price_list import month_price
from domain.snapshots import LimitSnapshot

Changes = tuple[tuple[str, str, str], ...]
_MOMENTS = (
    ("period_start", "Period begins"),
    ("period_end", "Period ends"),
    ("trial_ends_at", "Trial ends"),
    ("grace_until", "Grace ends"),
    ("cancel_at", "Cancelled for"),
    ("ended_at", "Ended"),
)


async def changes_between(connection: Any, before: Subscription, after: Subscription, now: datetime) -> Changes:
    """What differs. A moment that hangs on when it is done is told as such, so that looking twice tells the same."""
    slugs = await plan_slugs(connection, before, after)
    rows = [
        ("State", before.state, after.state),
        ("Plan", slugs[before.plan_id], slugs[after.plan_id]),
        ("Plan after that", slugs.get(before.next_plan_id, "the same"), slugs.get(after.next_plan_id, "the same")),  # type: ignore[arg-type]
        *((label, _moment(getattr(before, name), now), _moment(getattr(after, name), now)) for name, label in _MOMENTS),
    ]
    if (before.plan_id, before.plan_version_id) != (after.plan_id, after.plan_version_id):
        old = await terms_of(connection, before.plan_id, before.plan_version_id)
        new = await terms_of(connection, after.plan_id, after.plan_version_id)
        rows += terms_rows(old, new)
    return tuple(row for row in rows if row[1] != row[2])


def terms_rows(old: PlanTerms, new: PlanTerms) -> list[tuple[str, str, str]]:
    """Price, trial, grace and limits of two terms, each with both values, also where they are the same."""
    rows = [
        ("Price a month", month_price(old.price_cents, old.currency), month_price(new.price_cents, new.currency)),
        ("Beyond quotas", old.overage, new.overage),
        ("Trial", _trial(old), _trial(new)),
        ("Days of grace", str(old.grace_days), str(new.grace_days)),
    ]
    before, after = ({limit.name: limit for limit in terms.limits} for terms in (old, new))
    names = dict.fromkeys([*before, *after])
    return rows + [(f"Limit {name}", limit_says(before.get(name)), limit_says(after.get(name))) for name in names]


def limit_says(limit: LimitSnapshot | None) -> str:
    """`1,000 requests an hour`, with where and whether it is only counted."""
    if limit is None:
        return "none"
    narrowed = " of an operation" if limit.operation_id else " of a service" if limit.service_id else ""
    words = shared_words(limit)
    if limit.amount == 1:
        words = words.replace("requests", "request", 1).replace("units", "unit", 1)
    return f"{limit.amount:,} {words}{narrowed}{', only counted' if limit.shadow else ''}"


def _trial(terms: PlanTerms) -> str:
    calls = f", {terms.trial_calls:,} requests" if terms.trial_calls else ""
    return f"{terms.trial_days} days{calls}" if terms.trial_days or calls else "none"


def _moment(at: datetime | None, now: datetime) -> str:
    if at == now:
        return "the moment it is done"
    if at is not None and at == months_after(now, 1):
        return "a month after it is done"
    return utc(at, none="\u2013")
