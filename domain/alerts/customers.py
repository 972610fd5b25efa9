"""What customers are told of: use of their limits, quotas and spend caps, credits that run low, and what they chose."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.alert_settings import AlertSettings
from domain.alerts.choices import AlertChoices, fetch_choice
from domain.alerts.measures import CUSTOMERS, Measure, Window
from domain.alerts.own_measures import own_measures
from domain.alerts.rules import falling, rising
from domain.limit_use import LimitUse, caps_in_use, limits_in_use
from domain.organizations import OrganizationRecord, fetch_organization
from domain.quotas.periods import window_begin, window_end
from domain.reports.windows import HOUR, floor
from domain.subscription_reading import fetch_entitlements
from domain.subscription_rows import fetch_subscription
from schema.messages import AlertKind

# Who used anything today, or in the last hour of yesterday, and who stands at a level that may be left behind. Each half
# stops at the limit by itself: else every batch reads all of those that stand.
_NEXT = """
select id from (
    (select distinct o.id from organization_usage u join organization o on o.id = u.organization_id and o.state = 'active'
      where u.grain = 'day' and u.bucket >= $1 and u.organization_id > $2 order by o.id limit $5)
    union
    (select distinct o.id from alert_state a join organization o on o.id = a.organization_id and o.state = 'active'
      where a.kind = any($3) and a.level > 0 and a.organization_id > $2 and (a.period_ends is null or a.period_ends > $4)
      order by o.id limit $5)
) as w order by id limit $5
"""
_ACCOUNT = "select balance_micro from credit_account where organization_id = $1"
_LAST_INCOME = """
select amount_micro from credit_entry
 where organization_id = $1 and credit = 'credits' and type in ('purchase', 'bonus', 'adjustment')
 order by type = 'purchase' desc, created_at desc, number desc limit 1
"""
_REFUSED, _PAID = "Requests beyond it are refused.", "Requests beyond it are paid for with credits."
NOWHERE = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Customer:
    """An organization with what was measured of it.

    `limits` are the subjects of the limits and caps that hold now, also of those that could not be read.
    """

    organization: OrganizationRecord
    measures: tuple[Measure, ...]
    limits: frozenset[str] = frozenset()


async def next_organizations(connection: Any, after: UUID, now: datetime, most: int) -> list[UUID]:
    """The first `most` active organizations behind `after` that something may have happened to, in the order of ids."""
    since = floor(now - HOUR, "day")
    rows = await connection.fetch(_NEXT, since, after, list(CUSTOMERS), now, most)
    return [row["id"] for row in rows]


async def measure(connection: Any, organization_id: UUID, settings: AlertSettings, now: datetime) -> Customer:
    """All there is to be told of one organization; what cannot be read now is left out. Not inside a transaction.

    Limits that are only counted, of seconds and minutes, and of each key are not told of. Raises NotFound.
    """
    organization = await fetch_organization(connection, organization_id)
    choice = await fetch_choice(connection, organization_id)
    subscription = await fetch_subscription(connection, organization_id)
    found: list[Measure] = []
    uses: list[LimitUse] = []
    if subscription is not None:
        entitled = await fetch_entitlements(connection, organization_id, now=now)
        assert entitled is not None  # there is a subscription
        anchor = subscription.anchor.timestamp()
        goes_on = organization.billing_mode == "quota" and entitled.overage == "credits"
        in_use = await limits_in_use(connection, subscription, entitled, now)
        uses = [use for use in in_use if not use.limit.shadow]
        found += _of_limits(organization_id, uses, anchor, now, choice, goes_on=goes_on)
        if entitled.access:
            caps = await caps_in_use(connection, organization, subscription, now)
            uses += caps
            found += _of_limits(organization_id, caps, anchor, now, choice, goes_on=False)
    if (credits_low := await _credits(connection, organization_id, settings, choice)) is not None:
        found.append(credits_low)
    found += await own_measures(connection, organization, choice, now)
    return Customer(organization, tuple(found), frozenset(_subject(organization_id, use) for use in uses))


def _subject(organization_id: UUID, use: LimitUse) -> str:
    return f"{organization_id}/{use.limit.id}"


def _of_limits(
    organization_id: UUID,
    uses: Sequence[LimitUse],
    anchor: float,
    now: datetime,
    choice: AlertChoices,
    *,
    goes_on: bool,
) -> Iterator[Measure]:
    for use in uses:
        if use.used is None:
            continue
        limit = use.limit
        window = Window(
            limit.period,
            datetime.fromtimestamp(window_begin(limit.period, anchor, now.timestamp()), UTC),
            datetime.fromtimestamp(window_end(limit.period, anchor, now.timestamp()), UTC),
        )
        yield Measure(
            kind=AlertKind.SPEND_CAP if limit.unit == "credits" else AlertKind.USAGE,
            subject=_subject(organization_id, use),
            organization_id=organization_id,
            name=limit.name,
            unit=limit.unit,
            value=use.used,
            threshold=limit.amount,
            reach=rising(use.used, limit.amount, choice.usage_percents),
            window=window,
            service=use.service,
            operation=use.operation,
            consequence=_PAID if goes_on and limit.unit == "quota" else _REFUSED,
        )


async def _credits(
    connection: Any, organization_id: UUID, settings: AlertSettings, choice: AlertChoices
) -> Measure | None:
    """None of who has no ledger, or never had a credit."""
    balance = await connection.fetchval(_ACCOUNT, organization_id)
    income = None if balance is None else await connection.fetchval(_LAST_INCOME, organization_id)
    if income is None:
        return None
    mark = choice.low_credits_micro
    if mark is None:
        mark = income * settings.low_credits_percent // 100
    return Measure(
        kind=AlertKind.CREDITS_LOW,
        subject=str(organization_id),
        organization_id=organization_id,
        name="credits",
        unit="credits",
        value=balance,
        threshold=mark,
        reach=falling(balance, mark),
    )
