"""What leaves the product: the outbox, customers' webhooks, and what organizations have been told."""

from enum import StrEnum

from piccolo.columns import JSONB, UUID, Array, BigInt, Bytea, ForeignKey, Integer, SmallInt, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from schema.accounts import Organization


class MessageState(StrEnum):
    """A message waits until it is delivered, or given up."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


class OutboxMessage(Table, tablename="outbox_message"):
    """A mail, written in the transaction that caused it and sent after the commit, at least once."""

    id = UUID(primary_key=True, help_text="Also the mail's Message-ID: a repeat can be recognised.")
    created_at = Timestamptz(default=TimestamptzNow())
    template = Text(default=None, required=True, help_text="Which mail it is.")
    recipient = Text(default=None, required=True, help_text="The address.")
    content = Bytea(
        default=None,
        required=True,
        secret=True,
        help_text="What the template is given: JSON, sealed, as it may hold a link that signs in. Emptied once delivered.",
    )
    state = Text(default=MessageState.WAITING, choices=MessageState, help_text="Waiting, delivered, or given up.")
    due_at = Timestamptz(default=TimestamptzNow(), help_text="Not tried before.")
    attempts = SmallInt(default=0, help_text="How often it was tried.")
    ended_at = Timestamptz(null=True, default=None, help_text="When it was delivered or given up.")
    last_error = Text(default="", help_text="What the last attempt met.")

    ck_outbox_message_state = Check("state in ('waiting', 'delivered', 'failed')")


class WebhookEndpoint(Table, tablename="webhook_endpoint"):
    """Where an organization wants to be told of events (Standard Webhooks)."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    organization_id = ForeignKey(
        Organization, null=False, index=True, on_delete=OnDelete.restrict, help_text="The organization."
    )
    url = Text(default=None, required=True, help_text="Where events are posted to.")
    description = Text(default="", help_text="The customer's words for it.")
    event_types = Array(base_column=Text(), default=list, help_text="Which events; empty: all.")
    secret = Bytea(default=None, required=True, secret=True, help_text="Signing secret, sealed.")
    old_secret = Bytea(null=True, default=None, secret=True, help_text="The one before, sealed.")
    old_secret_until = Timestamptz(null=True, default=None, help_text="Until then both sign.")
    disabled_at = Timestamptz(null=True, default=None, help_text="Nothing is sent since then.")
    disabled_reason = Text(default="", help_text="Who or what switched it off.")
    deleted_at = Timestamptz(null=True, default=None, help_text="Kept for its deliveries only.")

    ck_webhook_endpoint_url = Check("length(url) between 8 and 2000")
    ck_webhook_endpoint_description = Check("length(description) <= 500")


class WebhookEvent(Table, tablename="webhook_event"):
    """Something that happened in an organization and that its endpoints may want to know."""

    id = UUID(primary_key=True, help_text="The webhook-id header: stable over all attempts.")
    created_at = Timestamptz(default=TimestamptzNow())
    organization_id = ForeignKey(
        Organization, null=False, index=False, on_delete=OnDelete.restrict, help_text="The organization."
    )
    type = Text(default=None, required=True, help_text="Such as key.revoked.")
    payload = JSONB(default=None, required=True, help_text="What is posted: {type, timestamp, data}.")


class WebhookDelivery(Table, tablename="webhook_delivery"):
    """One event on its way to one endpoint: all attempts together."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    event_id = ForeignKey(WebhookEvent, null=False, index=True, on_delete=OnDelete.restrict, help_text="The event.")
    endpoint_id = ForeignKey(
        WebhookEndpoint, null=False, index=False, on_delete=OnDelete.restrict, help_text="The endpoint."
    )
    organization_id = ForeignKey(
        Organization, null=False, index=False, on_delete=OnDelete.restrict, help_text="The organization."
    )
    state = Text(default=MessageState.WAITING, choices=MessageState, help_text="Waiting, delivered, or given up.")
    due_at = Timestamptz(default=TimestamptzNow(), help_text="Not tried before.")
    attempts = SmallInt(default=0, help_text="How often it was tried.")
    ended_at = Timestamptz(null=True, default=None, help_text="When it was delivered or given up.")
    response_status = SmallInt(null=True, default=None, help_text="Status of the last answer; null: none came.")
    response_excerpt = Text(default="", help_text="Beginning of the last answer.")
    duration_ms = Integer(null=True, default=None, help_text="How long the last attempt took.")
    last_error = Text(default="", help_text="What the last attempt met.")

    ck_webhook_delivery_state = Check("state in ('waiting', 'delivered', 'failed')")


class Notice(Table, tablename="notice"):
    """Something that an organization has been told, so that it is told once."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    organization_id = ForeignKey(
        Organization, null=False, index=False, on_delete=OnDelete.restrict, help_text="The organization."
    )
    kind = Text(default=None, required=True, help_text="What it was told, such as trial_ending.")
    about = Text(default=None, required=True, help_text="Of what: the same again is not told again.")

    uq_notice_organization_id_kind_about = Unique([organization_id, kind, about])
    ck_notice_kind = Check("kind ~ '^[a-z][a-z_]*$' and length(kind) <= 60 and length(about) <= 200")


class AlertKind(StrEnum):
    """Usage, spend caps, credits, and an organization's own errors and cost are told to customers, the others to operators."""

    USAGE = "usage"
    SPEND_CAP = "spend_cap"
    CREDITS_LOW = "credits_low"
    USAGE_ERRORS = "usage_errors"
    USAGE_COST = "usage_cost"
    ERROR_RATE = "error_rate"
    DAY_COST = "day_cost"


class AlertState(Table, tablename="alert_state"):
    """Where one alert stands: which level was told, so that it is told once. Written with what tells of it."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    kind = Text(default=None, required=True, choices=AlertKind, help_text="What is measured.")
    subject = Text(default=None, required=True, help_text="Of what: ids of organization, limit, service or operation.")
    organization_id = ForeignKey(
        Organization,
        null=True,
        default=None,
        index=True,
        on_delete=OnDelete.restrict,
        help_text="The organization; null: all of them.",
    )
    name = Text(default=None, required=True, help_text="The limit, service or organization, for people.")
    level = SmallInt(default=0, help_text="Percent of the threshold that was reached; 0: none, it is armed.")
    value = BigInt(default=0, help_text="What was measured then: requests, units or micro-credits; failures of a rate.")
    threshold = BigInt(default=0, help_text="Of how much; requests of a rate.")
    period_begins = Timestamptz(null=True, default=None, help_text="The window that was counted; another arms it anew.")
    period_ends = Timestamptz(null=True, default=None, help_text="Its end; null: it is not counted in windows.")
    since = Timestamptz(default=TimestamptzNow(), help_text="When it came to this level.")
    mailed_at = Timestamptz(null=True, default=None, help_text="When a mail was last written.")
    changes = Integer(default=1, help_text="Numbers its changes: of two writers one is made.")
    raised_level = SmallInt(default=0, help_text="The level that it rose to last.")
    raised_at = Timestamptz(null=True, default=None, help_text="When it last rose; null: before this was kept.")
    snoozed_until = Timestamptz(null=True, default=None, help_text="No mail is written of it before; null: never was.")
    snooze_reason = Text(default="", help_text="Why an operator wants no mail of it.")

    uq_alert_state_kind_subject = Unique([kind, subject])
    ck_alert_state_kind = Check(
        "kind in ('usage', 'spend_cap', 'credits_low', 'usage_errors', 'usage_cost', 'error_rate', 'day_cost')"
    )
    ck_alert_state_subject = Check("length(subject) <= 200")
    ck_alert_state_level = Check("level between 0 and 100")


class AlertChoice(Table, tablename="alert_choice"):
    """What an organization wants to be told of; one that never chose has no row."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    updated_at = Timestamptz(default=TimestamptzNow(), help_text="When it was chosen last.")
    organization_id = ForeignKey(
        Organization, null=False, index=False, on_delete=OnDelete.restrict, help_text="The organization."
    )
    usage_percents = Array(
        base_column=SmallInt(), default=list, help_text="Levels of limits, quotas and spend caps; empty: not told of."
    )
    low_credits_micro = BigInt(
        null=True, default=None, help_text="The balance is low below it; 0: never, null: a share of what was bought."
    )
    day_cost_micro = BigInt(null=True, default=None, help_text="Charged in a UTC day; null: not told of.")
    error_percent = SmallInt(null=True, default=None, help_text="Share of failures; null: not told of.")
    error_requests = Integer(default=100, help_text="Of fewer requests a share of failures is not told of.")

    uq_alert_choice_organization_id = Unique([organization_id])
    ck_alert_choice_usage_percents = Check("cardinality(usage_percents) <= 5")
    ck_alert_choice_amounts = Check("low_credits_micro >= 0 and day_cost_micro > 0")
    ck_alert_choice_error_percent = Check("error_percent between 1 and 100")
    ck_alert_choice_error_requests = Check("error_requests between 1 and 1000000000")
