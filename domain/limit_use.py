"""How much of each limit an organization has used in the window that runs now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.entitlements import Entitlements
from domain.lifecycle import Subscription
from domain.organizations import OrganizationRecord
from domain.plan_terms import PlanTerms
from domain.quotas.periods import seconds_left, window_begin
from domain.quotas.refill import Question
from domain.snapshots import LimitSnapshot
from domain.spend_caps import cap_limits
from domain.usage_reading import used

COUNTED = ("hour", "day", "month")
"""Shorter windows are over before anybody has read of them."""

AHEAD = timedelta(days=1)
"""Requests that end so long after the caller's moment are none of what was used: by its clock, not by this machine's."""


@dataclass(frozen=True, slots=True)
class LimitUse:
    """A limit, on what it is (`service` and `operation` by name, empty for all), and its use.

    `used` is None where it is not shown (a short window, each key for itself) or cannot be read.
    """

    limit: LimitSnapshot
    service: str
    operation: str
    used: int | None
    resets_in_seconds: int | None


async def limits_in_use(
    connection: Any, subscription: Subscription, entitled: Entitlements, now: datetime
) -> list[LimitUse]:
    """The limits that hold now with what is used of them, quotas first."""
    names = await _names(connection, entitled.limits)
    ordered = sorted(entitled.limits, key=lambda limit: limit.unit != "quota")
    anchor = subscription.anchor.timestamp()
    return [
        LimitUse(
            limit,
            names.get(limit.service_id, ""),
            names.get(limit.operation_id, ""),
            await _used(connection, subscription, limit, entitled.terms, now),
            seconds_left(limit.period, anchor, now.timestamp()) if limit.period in COUNTED[1:] else None,
        )
        for limit in ordered
    ]


async def caps_in_use(
    connection: Any, organization: OrganizationRecord, subscription: Subscription | None, now: datetime
) -> list[LimitUse]:
    """The organization's spend caps with what was spent, in micro-credits."""
    caps = cap_limits(organization.spend_cap_day_micro, organization.spend_cap_month_micro, None, None)
    if subscription is None:
        return [LimitUse(cap, "", "", None, None) for cap in caps]
    anchor = subscription.anchor.timestamp()
    return [
        LimitUse(
            cap,
            "",
            "",
            await _used(connection, subscription, cap, None, now),
            seconds_left(cap.period, anchor, now.timestamp()),
        )
        for cap in caps
    ]


async def _used(
    connection: Any, subscription: Subscription, limit: LimitSnapshot, terms: PlanTerms | None, now: datetime
) -> int | None:
    if limit.scope != "organization" or limit.period not in COUNTED:
        return None
    since = datetime.fromtimestamp(
        window_begin(limit.period, subscription.anchor.timestamp(), now.timestamp()), UTC
    )  # fmt: skip
    return await used(
        connection,
        Question(
            subscription.organization_id,
            None,
            limit.service_id,
            limit.operation_id,
            since,
            now + AHEAD,
            limit.unit,
            terms.quota_costs if terms else {},
            terms.prices if terms else {},
        ),
    )


async def _names(connection: Any, limits: Sequence[LimitSnapshot]) -> dict[Any, str]:
    ids = [id_ for limit in limits for id_ in (limit.service_id, limit.operation_id) if id_ is not None]
    if not ids:
        return {}
    rows = await connection.fetch(
        "select id, slug as name from service where id = any($1) union all select id, name from operation where id = any($1)",
        ids,
    )
    return {row["id"]: row["name"] for row in rows}
