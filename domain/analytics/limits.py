"""What an organization may use now and how much of it is used: its plan's windows, quotas, spend caps, and its credits.

Used is what the data plane's own limiter says, as in GET /user/usage: exact, with what workers hold and have not spent
given back first. It is unknown while Redis is away, and after Redis has lost its memory 0 until the next call.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.access import Access, Permission
from domain.entitlements import access_until, effective_limits
from domain.lifecycle import LIVE, Subscription, Terms
from domain.limit_overrides import holding
from domain.organization_keys import key_of_organization
from domain.quotas.costs import CREDITS, applying
from domain.quotas.limiter import Limiter
from domain.quotas.windows import WindowState
from domain.snapshots import KeySnapshot, LimitOverride, LimitSnapshot, PlanSnapshot

_FIELDS = """s.id, s.organization_id, s.plan_id, s.state, s.started_at, s.period_start, s.period_end, s.cancel_at,
       s.plan_version_id, s.next_plan_id, s.trial_ends_at, s.grace_until"""
_TERMS = f"""
select {_FIELDS}, p.slug, p.name, o.billing_mode, o.spend_cap_day_micro, o.spend_cap_month_micro,
       coalesce((v.terms->>'price_cents')::bigint, p.price_cents) = 0 as free,
       coalesce((v.terms->>'grace_days')::int, p.grace_days) as grace_days,
       case when v.id is null then p.trial_calls else (v.terms->>'trial_calls')::int end as trial_calls,
       coalesce(v.terms->'limits', (
           select jsonb_agg(jsonb_build_object('id', l.id, 'name', l.name, 'amount', l.amount, 'period', l.period,
                  'scope', l.scope, 'shadow', l.shadow, 'service_id', l.service_id, 'operation_id', l.operation_id,
                  'unit', l.unit) order by array_position(
                  array['second', 'minute', 'hour', 'day', 'month', 'concurrent'], l.period::text), l.name)
             from plan_limit l where l.plan_id = p.id), '[]')::text as limits,
       (select json_agg(json_build_array(l.limit_name, l.amount, l.shadow, extract(epoch from l.until)))::text
          from limit_override l where l.organization_id = $1) as overrides,
       coalesce(a.balance_micro, 0) as balance_micro, coalesce(a.leased_micro, 0) as leased_micro,
       coalesce(a.reserved_micro, 0) as reserved_micro
  from organization o left join subscription s on s.organization_id = o.id and s.state in {LIVE}
  left join plan p on p.id = s.plan_id left join plan_version v on v.id = s.plan_version_id
  left join credit_account a on a.organization_id = o.id
 where o.id = $1
"""
_SUBSCRIPTION = 12


@dataclass(frozen=True, slots=True)
class LimitNow:
    """One limit with its window of now. Of each key's own, and while Redis is away, `used` and the rest are None.

    Amounts are requests, units, or micro-credits, as `unit` says (requests, quota, credits).
    """

    name: str
    amount: int
    period: str
    scope: str
    unit: str
    shadow: bool
    used: int | None
    remaining: int | None
    resets_at: datetime | None


@dataclass(frozen=True, slots=True)
class Credits:
    """In micro-credits. Leased is in the hands of gateway workers, reserved held for requests under way: spent, or it comes back."""

    balance_micro: int
    leased_micro: int
    reserved_micro: int


@dataclass(frozen=True, slots=True)
class Standing:
    """`plan` is None without a subscription that gives access. `credits` is None for who may not see credits."""

    plan: str | None
    until: datetime | None
    limits: tuple[LimitNow, ...]
    credits: Credits | None


async def read_standing(connection: Any, limiter: Limiter, access: Access, now: datetime) -> Standing:
    """Where the access's organization stands at `now`. Spend caps and credits are told to who may see what is paid."""
    access.require(Permission.VIEW)
    billing = access.may(Permission.BILLING_VIEW)
    row = await connection.fetchrow(_TERMS, access.organization_id)
    credits_ = Credits(row["balance_micro"], row["leased_micro"], row["reserved_micro"]) if billing else None
    if row["id"] is None:
        return Standing(None, None, (), credits_)
    subscription = Subscription(*(row[place] for place in range(_SUBSCRIPTION)))
    until = access_until(subscription, Terms(row["free"], row["grace_days"]))
    if until is not None and until <= now:
        return Standing(None, None, (), credits_)
    key, plan = _snapshots(row, access, subscription, now)
    limits = await _limits(limiter, key, plan, now)
    return Standing(row["name"], until, tuple(one for one in limits if billing or one.unit != CREDITS), credits_)


def _snapshots(row: Any, access: Access, subscription: Subscription, now: datetime) -> tuple[KeySnapshot, PlanSnapshot]:
    """The plan, and a key without limits of its own, as the data plane has them."""
    overrides = tuple(LimitOverride(*values) for values in json.loads(row["overrides"] or "[]"))
    limits = effective_limits(
        tuple(_limit(values) for values in json.loads(row["limits"])),
        subscription.plan_id,
        holding(overrides, now.timestamp()),
        row["trial_calls"] if subscription.state == "trialing" else None,
    )
    plan = PlanSnapshot(subscription.plan_id, row["slug"], row["name"], 0, limits)
    key = key_of_organization(row, subscription, slug=access.slug, plan_slug=row["slug"], state=access.state)
    return key, plan


def _limit(values: dict[str, Any]) -> LimitSnapshot:
    ids = {name: None if values[name] is None else UUID(values[name]) for name in ("id", "service_id", "operation_id")}
    return LimitSnapshot(**{**values, **ids})


async def _limits(limiter: Limiter, key: KeySnapshot, plan: PlanSnapshot, now: datetime) -> list[LimitNow]:
    states = await limiter.peek(key, plan)
    known = limiter.status().redis_ok
    return [
        _told(limit, state if known and limit.scope != "key" else None, now)
        for limit, state in zip(applying(key, plan), states, strict=True)
    ]


def _told(limit: LimitSnapshot, state: WindowState | None, now: datetime) -> LimitNow:
    told = LimitNow(limit.name, limit.amount, limit.period, limit.scope, limit.unit, limit.shadow, None, None, None)
    if state is None:
        return told
    resets = None if limit.period == "concurrent" else _whole_second(now) + timedelta(seconds=state.reset_seconds)
    return LimitNow(
        told.name, told.amount, told.period, told.scope, told.unit, told.shadow, state.used, state.remaining, resets
    )


def _whole_second(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=0)
