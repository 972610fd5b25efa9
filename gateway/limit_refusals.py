"""Which refusal a verdict is, and what it tells the caller: the limit, when to come again, what the request would take."""

from typing import Any

from domain.credit_amounts import credits_text
from domain.quotas.costs import CREDITS, QUOTA
from domain.quotas.limiter import Bucket, Verdict
from domain.refusals import QuotaExceeded, RateLimited, Refusal, SpendCapReached, TooManyAtOnce
from domain.snapshots import LimitSnapshot


def described(limit: LimitSnapshot) -> str:
    """A windowed limit as callers are told of it: `1000 per hour`, `5 per minute (minute-key)`."""
    return f"{limit.amount} per {limit.period}" + ("" if limit.name == limit.period else f" ({limit.name})")


def refusal_of(bucket: Bucket, verdict: Verdict) -> Refusal:
    """A limit in requests goes before a quota, that before a spend cap, and a cap on requests in progress comes last."""
    violated = [limit for limit in bucket.limits if limit.name in verdict.violated]
    first = min(violated, key=_precedence)
    about: dict[str, Any] = {
        "violated_policies": list(verdict.violated),
        "retry_after_seconds": verdict.retry_after_seconds,
    }
    if first.period == "concurrent":
        text = f"{first.amount} requests may be in progress at a time ({first.name})."
        return TooManyAtOnce(text, **about, limit=first.amount)
    remaining = next(window.remaining for window in verdict.windows if window.name == first.name)
    if first.unit == QUOTA:
        return _quota_exceeded(first, _weight(bucket, first), remaining, about)
    if first.unit == CREDITS:
        return _cap_reached(first, _weight(bucket, first), remaining, about)
    text = f"The limit of {described(first)} is used up. Try again in {verdict.retry_after_seconds} s."
    return RateLimited(text, **about, limit=first.amount)


def _precedence(limit: LimitSnapshot) -> int:
    if limit.period == "concurrent":
        return 3
    return {QUOTA: 1, CREDITS: 2}.get(limit.unit, 0)


def _weight(bucket: Bucket, limit: LimitSnapshot) -> int:
    return next((weight for allowance, weight in bucket.needs if allowance.limit.id == limit.id), 1)


def _quota_exceeded(limit: LimitSnapshot, units: int, remaining: int, about: dict[str, Any]) -> QuotaExceeded:
    quota = f"the quota of {limit.amount} units per {limit.period}"
    if units > limit.amount:
        text = f"The operation takes {units} units, more than {quota} has at all."
    elif remaining:
        text = f"The operation takes {units} units; of {quota} {remaining} are left."
    else:
        text = f"{quota[0].upper()}{quota[1:]} is used up."
    return QuotaExceeded(text, **about, limit=limit.amount, required_units=units, remaining_units=remaining)


def _cap_reached(limit: LimitSnapshot, micro: int, remaining: int, about: dict[str, Any]) -> SpendCapReached:
    whose = "this key's" if limit.scope == "key" else "the organization's"
    span = "day" if limit.period == "day" else "period"
    text = (
        f"The request costs {credits_text(micro)} credits; of {whose} spend cap of {credits_text(limit.amount)} per {span}"
        f" {credits_text(remaining)} are left."
    )
    return SpendCapReached(
        text,
        **about,
        spend_cap=credits_text(limit.amount),
        required_credits=credits_text(micro),
        remaining_credits=credits_text(remaining),
    )
