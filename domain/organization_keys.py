"""An organization in the place of a key: all that its limits and prices hang on, and nothing that is of one key."""

from typing import Any

from domain.lifecycle import Subscription
from domain.snapshots import NO_ID, KeySnapshot
from domain.spend_caps import cap_limits


def key_of_organization(
    row: Any, subscription: Subscription, *, slug: str, plan_slug: str, state: str = "active"
) -> KeySnapshot:
    """As the data plane has a key without restrictions. `row` has the organization's billing_mode and spend caps by column."""
    return KeySnapshot(
        id=NO_ID,
        organization_id=subscription.organization_id,
        organization_slug=slug,
        organization_state=state,
        plan_id=subscription.plan_id,
        plan_slug=plan_slug,
        name="",
        prefix="",
        environment="live",
        scopes=frozenset(),
        allowed_ips=(),
        expires_at=None,
        revoked=False,
        period_start=subscription.period_start.timestamp(),
        period_anchor=subscription.anchor.timestamp(),
        billing_mode=row["billing_mode"],
        spend_caps=cap_limits(row["spend_cap_day_micro"], row["spend_cap_month_micro"], None, None),
    )
