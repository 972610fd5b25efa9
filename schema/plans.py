"""What is sold: plans, their limits, and who is subscribed to which."""

from enum import StrEnum

from piccolo.columns import JSONB, UUID, BigInt, Boolean, Char, ForeignKey, Integer, Text, Timestamptz
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


class LimitUnit(StrEnum):
    """What a limit counts: requests, or the units that their operations take (a quota)."""

    REQUESTS = "requests"
    QUOTA = "quota"


class Overage(StrEnum):
    """What happens to an organization on quotas when they are used up."""

    BLOCK = "block"
    CREDITS = "credits"


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
    overage = Text(default=Overage.BLOCK, choices=Overage, help_text="When quotas are used up: refuse, or use credits.")
    trial_days = Integer(default=0, help_text="Length of a trial in days; 0: none.")
    trial_calls = BigInt(null=True, default=None, help_text="Most requests in a trial; null: as the plan's limits say.")
    grace_days = Integer(default=3, help_text="Days after an unpaid period in which the plan still applies.")
    log_days = Integer(null=True, default=None, help_text="Days of request logs that are kept; null: as for everybody.")

    uq_plan_slug = Unique([slug])
    ck_plan_slug = Check("slug ~ '^[a-z0-9][a-z0-9-]*$' and length(slug) <= 63")
    ck_plan_name = Check("length(name) between 1 and 120")
    ck_plan_price_cents = Check("price_cents >= 0")
    ck_plan_overage = Check("overage in ('block', 'credits')")
    ck_plan_days = Check("trial_days between 0 and 365 and grace_days between 0 and 365 and trial_calls > 0")
    ck_plan_log_days = Check("log_days between 1 and 3650")
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
    unit = Text(default=LimitUnit.REQUESTS, choices=LimitUnit, help_text="What it counts.")
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
    ck_plan_limit_unit = Check(
        "unit = 'requests' or (unit = 'quota' and period in ('day', 'month') and scope = 'organization')"
    )
    ck_plan_limit_operation_id = Check("operation_id is null or service_id is not null")


class PlanPrice(Table, tablename="plan_price"):
    """What one operation costs on one plan, where that is not what it costs otherwise."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    plan_id = ForeignKey(Plan, null=False, index=True, on_delete=OnDelete.cascade, help_text="The plan.")
    operation_id: ForeignKey[Table] = ForeignKey(
        LazyTableReference("Operation", module_path="schema.services"),
        null=False,
        index=True,
        on_delete=OnDelete.cascade,
        help_text="The operation.",
    )
    price_micro = BigInt(null=True, default=None, help_text="Micro-credits; null: as for everybody.")
    quota_cost = BigInt(null=True, default=None, help_text="Quota units; null: as for everybody.")

    uq_plan_price_plan_id_operation_id = Unique([plan_id, operation_id])
    ck_plan_price_amounts = Check("price_micro >= 0 and quota_cost between 0 and 1000000000")
    ck_plan_price_something = Check("price_micro is not null or quota_cost is not null")


class PlanVersion(Table, tablename="plan_version"):
    """The terms of a plan as they were sold before an edit, for those who bought them. Never changed: a trigger sees to it."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    plan_id = ForeignKey(Plan, null=False, index=False, on_delete=OnDelete.restrict, help_text="The plan.")
    number = Integer(default=None, required=True, help_text="1, 2, 3 for each plan.")
    terms = JSONB(default=None, required=True, help_text="Limits, prices and policies; `domain.plan_terms` reads it.")

    uq_plan_version_plan_id_number = Unique([plan_id, number])
    ck_plan_version_number = Check("number > 0")


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
    plan_version_id = ForeignKey(
        PlanVersion,
        null=True,
        index=True,
        on_delete=OnDelete.restrict,
        help_text="The terms of this period; null: the plan's own, as they are now.",
    )
    next_plan_id = ForeignKey(
        Plan, null=True, index=True, on_delete=OnDelete.restrict, help_text="The plan from the next period on."
    )
    trial_ends_at = Timestamptz(null=True, default=None, help_text="When the trial ends; null: none.")
    grace_until = Timestamptz(null=True, default=None, help_text="Until when an unpaid plan still applies.")
    ended_at = Timestamptz(null=True, default=None, help_text="When it ended.")

    ck_subscription_state = Check("state in ('trialing', 'active', 'past_due', 'cancelled', 'expired')")
    ck_subscription_period = Check("period_end > period_start")


class TrialClaim(Table, tablename="trial_claim"):
    """Who has had a trial: an organization and an e-mail address have one, whatever becomes of them.

    Append-only, but that a keyed digest may take the place of an address.
    """

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    organization_id = ForeignKey(
        Organization, null=False, index=False, on_delete=OnDelete.restrict, help_text="The organization."
    )
    email = Text(default=None, required=True, help_text="The verified address, in lower case.")

    uq_trial_claim_organization_id = Unique([organization_id])
    uq_trial_claim_email = Unique([email])
    ck_trial_claim_email = Check("email = lower(email) and email like '%@%' and length(email) <= 254")


class LimitOverride(Table, tablename="limit_override"):
    """Another amount of one of the plan's limits for one organization, perhaps until a date."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    organization_id = ForeignKey(
        Organization, null=False, index=False, on_delete=OnDelete.restrict, help_text="The organization."
    )
    limit_name = Text(default=None, required=True, help_text="Name of the limit, as the plan has it.")
    amount = BigInt(null=True, default=None, help_text="Instead of the plan's; null: as the plan says.")
    shadow = Boolean(null=True, default=None, help_text="Only count, or enforce; null: as the plan says.")
    until = Timestamptz(null=True, default=None, help_text="Does not hold from then on; null: for good.")
    reason = Text(default="", help_text="Why.")

    uq_limit_override_organization_id_limit_name = Unique([organization_id, limit_name])
    ck_limit_override_amount = Check("amount > 0")
    ck_limit_override_something = Check("amount is not null or shadow is not null")
