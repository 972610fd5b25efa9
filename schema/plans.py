"""What is sold: plans, their limits, and who is subscribed to which."""

from enum import StrEnum

from piccolo.columns import UUID, BigInt, Boolean, Char, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.columns.readable import Readable
from piccolo.columns.reference import LazyTableReference
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from schema.accounts import Organization


class LimitPeriod(StrEnum):
    """The window of a limit; `concurrent` has none: it caps requests in progress."""

    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    CONCURRENT = "concurrent"


class LimitScope(StrEnum):
    """Who shares a window: all keys of the organization, or each key for itself."""

    ORGANIZATION = "organization"
    KEY = "key"


class SubscriptionState(StrEnum):
    """The first three are live: their plan applies."""

    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Plan(Table, tablename="plan"):
    """A set of limits at a price."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    slug = Text(default=None, required=True, help_text="Stable name in code, URLs and on the command line.")
    name = Text(default=None, required=True, help_text="As customers see it.")
    description = Text(default="", help_text="One or two sentences for the price list.")
    active = Boolean(default=True, help_text="An inactive plan takes no new subscriptions.")
    public = Boolean(default=True, help_text="Shown in the price list.")
    price_cents = BigInt(default=0, help_text="Price of a month in the currency's hundredths.")
    currency = Char(length=3, default="USD", help_text="ISO 4217.")
    sort_order = Integer(default=0, help_text="Rank: a higher plan has a greater number.")

    uq_plan_slug = Unique([slug])
    ck_plan_slug = Check("slug ~ '^[a-z0-9][a-z0-9-]*$' and length(slug) <= 63")
    ck_plan_name = Check("length(name) between 1 and 120")
    ck_plan_price_cents = Check("price_cents >= 0")
    ck_plan_currency = Check("currency ~ '^[A-Z][A-Z][A-Z]$'")

    @classmethod
    def get_readable(cls) -> Readable:
        """How the admin names a row."""
        return Readable(template="%s", columns=[cls.slug])


class PlanLimit(Table, tablename="plan_limit"):
    """So many requests in one window, or in progress at once; of one service or operation, if it names one.

    The migration adds what Piccolo cannot express: an operation is one of the service.
    """

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    plan_id = ForeignKey(Plan, null=False, index=True, on_delete=OnDelete.cascade, help_text="The plan.")
    name = Text(default=None, required=True, help_text="Its name in the RateLimit headers.")
    amount = BigInt(default=None, required=True, help_text="Requests allowed in the window.")
    period = Text(default=None, required=True, choices=LimitPeriod, help_text="The window.")
    scope = Text(default=LimitScope.ORGANIZATION, choices=LimitScope, help_text="Who shares the window.")
    shadow = Boolean(default=False, help_text="Counted and reported, never enforced.")
    service_id: ForeignKey[Table] = ForeignKey(
        LazyTableReference("Service", module_path="schema.services"),
        null=True,
        index=True,
        on_delete=OnDelete.cascade,
        help_text="Counts only requests to this service; null: to any.",
    )
    operation_id: ForeignKey[Table] = ForeignKey(
        LazyTableReference("Operation", module_path="schema.services"),
        null=True,
        index=True,
        on_delete=OnDelete.cascade,
        help_text="Counts only requests of this operation of the service; null: of any.",
    )

    uq_plan_limit_plan_id_name = Unique([plan_id, name])
    ck_plan_limit_name = Check("name ~ '^[a-z0-9][a-z0-9_-]*$' and length(name) <= 40")
    ck_plan_limit_amount = Check("amount > 0")
    ck_plan_limit_period = Check("period in ('second', 'minute', 'hour', 'day', 'month', 'concurrent')")
    ck_plan_limit_scope = Check("scope in ('organization', 'key')")
    ck_plan_limit_operation_id = Check("operation_id is null or service_id is not null")


class Subscription(Table, tablename="subscription"):
    """An organization's plan over a period of time; at most one is live (a partial unique index sees to it)."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    organization_id = ForeignKey(
        Organization, null=False, index=True, on_delete=OnDelete.restrict, help_text="The organization."
    )
    plan_id = ForeignKey(Plan, null=False, index=True, on_delete=OnDelete.restrict, help_text="The plan.")
    state = Text(default=SubscriptionState.ACTIVE, choices=SubscriptionState, help_text="Whether the plan applies.")
    started_at = Timestamptz(default=TimestamptzNow(), help_text="When it began.")
    period_start = Timestamptz(default=None, required=True, help_text="Begin of the paid period.")
    period_end = Timestamptz(default=None, required=True, help_text="End of the paid period.")
    cancel_at = Timestamptz(null=True, default=None, help_text="When it ends by the customer's wish.")

    ck_subscription_state = Check("state in ('trialing', 'active', 'past_due', 'cancelled', 'expired')")
    ck_subscription_period = Check("period_end > period_start")
