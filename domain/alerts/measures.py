"""What an alert is about, as it is measured at one moment."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.alerts.rules import Reach
from schema.messages import AlertKind

OWN = (AlertKind.USAGE_ERRORS, AlertKind.USAGE_COST)
"""What an organization is told of only if it wants to be: measured no more once it does not."""
OF_LIMITS = (AlertKind.USAGE, AlertKind.SPEND_CAP)
"""Of limits and spend caps: over with them, when the plan is another one or the cap is taken away."""
CUSTOMERS = (*OF_LIMITS, AlertKind.CREDITS_LOW, *OWN)
OPERATORS = (AlertKind.ERROR_RATE, AlertKind.DAY_COST)


@dataclass(frozen=True, slots=True)
class Window:
    """The hour, day or month that is counted. Another one arms everything anew."""

    period: str
    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Measure:
    """`subject` is unique within its kind. `value` and `threshold` are requests, units, or micro-credits.

    Of an error rate they are failures and requests, and `percent` is the share from which on it is told. `organization_id` None is the whole installation. `name` is for people:
    the limit's, the service's, the organization's. `unit` is requests, quota or credits. `consequence` says what happens at 100 %.
    """

    kind: AlertKind
    subject: str
    organization_id: UUID | None
    name: str
    unit: str
    value: int
    threshold: int
    reach: Reach
    window: Window | None = None
    service: str = ""
    operation: str = ""
    consequence: str = ""
    percent: int = 0
