"""The alerts of one organization that stand now, in words for its members."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.access import Access, Permission
from domain.alerts.measures import CUSTOMERS
from domain.alerts.reading import AlertRecord, open_alerts
from domain.credit_amounts import credits_text
from schema.messages import AlertKind

MOST = 100
_CREDITS = (AlertKind.SPEND_CAP, AlertKind.USAGE_COST, AlertKind.CREDITS_LOW)


@dataclass(frozen=True, slots=True)
class CustomerAlert:
    """`value` and `threshold` are decimal texts of requests, units or credits, as they were `since`.

    `kind` is usage, spend_cap, credits_low, usage_errors or usage_cost; `name` is the limit's, for usage and spend caps.
    Of usage_errors the threshold is the number of requests. `percent` is the level that was told.
    """

    kind: str
    name: str
    percent: int
    value: str
    threshold: str
    since: datetime
    ends_at: datetime | None

    @property
    def sentence(self) -> str:
        """What was reached."""
        value, threshold = _grouped(self.value), _grouped(self.threshold)
        match self.kind:
            case AlertKind.CREDITS_LOW:
                return f"{value} credits were left, less than {threshold}."
            case AlertKind.USAGE_ERRORS:
                return f"{value} of {threshold} requests within two hours failed."
            case AlertKind.USAGE_COST:
                return f"{value} credits were spent in a day; you chose {threshold}."
            case AlertKind.SPEND_CAP:
                return f"{value} of {threshold} credits of a spend cap were spent."
        return f"{value} of {threshold} of the limit {self.name} were used."


def _grouped(text: str) -> str:
    """A decimal text with its thousands parted, for people."""
    whole, point, fraction = text.partition(".")
    return f"{int(whole):,}{point}{fraction}"


async def standing_alerts(connection: Any, access: Access, now: datetime) -> list[CustomerAlert]:
    """The newest first. Raises Forbidden for who may not see what is paid."""
    access.require(Permission.BILLING_VIEW)
    rows = await open_alerts(connection, now, organization_id=access.organization_id, kinds=CUSTOMERS, most=MOST)
    return [_told(row) for row in rows]


def _told(row: AlertRecord) -> CustomerAlert:
    money = row.kind in _CREDITS
    value, threshold = (
        (credits_text(row.value), credits_text(row.threshold)) if money else (f"{row.value}", f"{row.threshold}")
    )
    named = row.kind in (AlertKind.USAGE, AlertKind.SPEND_CAP)
    return CustomerAlert(row.kind, row.name if named else "", row.level, value, threshold, row.since, row.period_ends)
