"""The subscription and the spend caps of the organization that a call is about."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from domain import buying
from domain.access import Permission
from domain.buying import Standing
from domain.credit_amounts import credits_text, parse_credits
from domain.limit_use import LimitUse
from portal.api.endpoint import Endpoint
from portal.api.models import Answer, Body, Credits
from portal.web.visit import Visit

EXAMPLE: Any = {
    "plan": "pro", "state": "active", "why": "in a paid period", "billing_mode": "credits", "overage": "block",
    "price_cents": 1900, "currency": "USD", "period_start": "2026-11-01T00:00:00Z",
    "period_end": "2026-12-01T00:00:00Z", "trial_ends_at": None, "cancel_at": None, "next_plan": None,
    "access_until": None, "spend_caps": {"day": "5", "month": None},
    "limits": [
        {
            "name": "hour", "amount": 10000, "period": "hour", "scope": "organization", "unit": "requests",
            "shadow": False, "service": None, "operation": None, "used": 120, "resets_in_seconds": 640,
        }
    ],
}  # fmt: skip


class LimitAnswer(Answer):
    """A limit and its use; null `used`: not shown for short windows and limits of each key."""

    name: str
    amount: int
    period: str
    scope: str
    unit: str
    shadow: bool
    service: str | None
    operation: str | None
    used: int | None
    resets_in_seconds: int | None


class SpendCaps(Answer):
    """Credits in a UTC day and in a period; null: no cap."""

    day: Credits | None
    month: Credits | None


class SubscriptionAnswer(Answer):
    """`state` is none, trialing, active, grace or ended, and `why` says in words why. Null `plan`: there never was one."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    plan: str | None
    state: str
    why: str
    billing_mode: str
    overage: str | None
    price_cents: int | None
    currency: str | None
    period_start: datetime | None
    period_end: datetime | None
    trial_ends_at: datetime | None
    cancel_at: datetime | None
    next_plan: str | None
    access_until: datetime | None
    spend_caps: SpendCaps
    limits: list[LimitAnswer]


class PlanChoice(Body):
    """The slug of a plan."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"plan": "pro"}]})

    plan: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]*$", max_length=63)]


Cap = Annotated[
    str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$", description="Decimal number of credits.", examples=["12.5"])
]


class NewSpendCaps(Body):
    """Both caps, as they shall be; null: none."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"day": "5", "month": None}]})

    day: Cap | None
    month: Cap | None


async def show(visit: Visit) -> SubscriptionAnswer:
    """GET /api/subscription."""
    return _answer(await buying.fetch_standing(visit.connection, visit.access))


async def change(visit: Visit, body: PlanChoice) -> SubscriptionAnswer:
    """POST /api/subscription/change."""
    await buying.change_plan(visit.connection, visit.access, visit.actor, body.plan)
    return await show(visit)


async def keep(visit: Visit) -> SubscriptionAnswer:
    """POST /api/subscription/keep."""
    await buying.keep_plan(visit.connection, visit.access, visit.actor)
    return await show(visit)


async def start_trial(visit: Visit, body: PlanChoice) -> SubscriptionAnswer:
    """POST /api/subscription/trial."""
    await buying.start_trial(visit.connection, visit.access, visit.actor, body.plan, visit.settings.secrets)
    return await show(visit)


async def cancel(visit: Visit) -> SubscriptionAnswer:
    """POST /api/subscription/cancel."""
    await buying.cancel(visit.connection, visit.access, visit.actor)
    return await show(visit)


async def resume(visit: Visit) -> SubscriptionAnswer:
    """POST /api/subscription/resume."""
    await buying.resume(visit.connection, visit.access, visit.actor)
    return await show(visit)


async def set_caps(visit: Visit, body: NewSpendCaps) -> SpendCaps:
    """PUT /api/subscription/spend-caps."""
    caps = {"day": body.day, "month": body.month}
    made = await buying.set_caps(
        visit.connection,
        visit.access,
        visit.actor,
        {period: None if text is None else parse_credits(text) for period, text in caps.items()},
    )
    return _caps(made.spend_cap_day_micro, made.spend_cap_month_micro)


def _answer(standing: Standing) -> SubscriptionAnswer:
    record, entitled, organization = standing.record, standing.entitled, standing.organization
    terms = (entitled.terms if entitled else None) or standing.plan
    return SubscriptionAnswer(
        plan=record.plan if record else None,
        state=entitled.state if entitled else "none",
        why=entitled.why if entitled else "no subscription",
        billing_mode=organization.billing_mode,
        overage=entitled.overage if entitled else None,
        price_cents=terms.price_cents if terms else None,
        currency=terms.currency if terms else None,
        period_start=record.period_start if record else None,
        period_end=record.period_end if record else None,
        trial_ends_at=record.trial_ends_at if record else None,
        cancel_at=record.cancel_at if record else None,
        next_plan=record.next_plan if record else None,
        access_until=entitled.until if entitled else None,
        spend_caps=_caps(organization.spend_cap_day_micro, organization.spend_cap_month_micro),
        limits=[_limit(use) for use in standing.limits],
    )


def _limit(use: LimitUse) -> LimitAnswer:
    limit = use.limit
    return LimitAnswer(
        name=limit.name,
        amount=limit.amount,
        period=limit.period,
        scope=limit.scope,
        unit=limit.unit,
        shadow=limit.shadow,
        service=use.service or None,
        operation=use.operation or None,
        used=use.used,
        resets_in_seconds=use.resets_in_seconds,
    )


def _caps(day: int | None, month: int | None) -> SpendCaps:
    return SpendCaps(
        day=None if day is None else credits_text(day), month=None if month is None else credits_text(month)
    )


BUYING = partial(Endpoint, tag="subscription", answer=SubscriptionAnswer, permission=Permission.BUY)


ENDPOINTS = (
    BUYING(
        "GET",
        "/subscription",
        show,
        "The subscription, its limits and their use",
        permission=Permission.BILLING_VIEW,
    ),
    BUYING(
        "POST",
        "/subscription/change",
        change,
        "Change to a plan that costs nothing",
        body=PlanChoice,
        description="A higher plan at once, a lower one when the period ends. With a price it is a conflict: contact us.",
    ),
    BUYING("POST", "/subscription/keep", keep, "Take back a change that comes with the next period"),
    BUYING(
        "POST",
        "/subscription/trial",
        start_trial,
        "Begin the trial of a plan",
        body=PlanChoice,
        description="Once for an organization, and once for a verified e-mail address.",
    ),
    BUYING("POST", "/subscription/cancel", cancel, "End the subscription with its period"),
    BUYING("POST", "/subscription/resume", resume, "Take a cancellation back"),
    BUYING("PUT", "/subscription/spend-caps", set_caps, "Set the spend caps", body=NewSpendCaps, answer=SpendCaps),
)
