"""How each table is shown: its group in the menu, its columns and filters, its order. One literal table.

A *large* table has millions of rows: it is ordered and filtered by what an index serves and by nothing else, and texts
are compared whole. The index behind each order and filter stands in `migrations/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from piccolo.columns import JSON, JSONB, Bytea, Column
from piccolo.table import Table

from schema.piccolo_app import APP_CONFIG

CUSTOMERS, PEOPLE, SOLD, SERVICES = "Customers", "People and sign-ins", "What is sold", "Services"
USAGE, MONEY, MESSAGES, RECORDS, RUNNING = "Usage", "Credits", "Messages", "Records", "Jobs"


@dataclass(frozen=True)
class Shown:
    """One table. Names of columns stand in one text, with blanks between; `order` with a minus is descending."""

    name: str
    group: str
    columns: str
    filters: str
    order: str
    link: str = "id"
    """The column that leads to a row's page."""
    orders: str = ""
    """Of a large table: what it may be ordered by. Empty: not large."""
    hidden: str = ""
    """Never served, besides secrets and bytes."""

    @cached_property
    def table(self) -> type[Table]:
        """Its class. Raises KeyError for a table that the schema has not."""
        return _CLASSES[self.name]

    @property
    def large(self) -> bool:
        """Whether only indexed columns order and filter."""
        return bool(self.orders)

    @cached_property
    def served(self) -> Mapping[str, Column]:
        """The columns whose values anybody gets, in the table's order."""
        hidden = self.hidden.split()
        return {column._meta.name: column for column in self.table._meta.columns if not _secret(column, hidden)}  # noqa: SLF001

    @cached_property
    def orderable(self) -> frozenset[str]:
        """What it may be ordered by."""
        if self.large:
            return frozenset(self.orders.split())
        return frozenset(name for name, column in self.served.items() if not isinstance(column, JSON | JSONB))

    @cached_property
    def filterable(self) -> frozenset[str]:
        """What it may be filtered by."""
        if self.large:
            return frozenset(self.filters.split())
        return frozenset(name for name, column in self.served.items() if not isinstance(column, JSON | JSONB))


def _secret(column: Column, hidden: list[str]) -> bool:
    return column._meta.secret or isinstance(column, Bytea) or column._meta.name in hidden  # noqa: SLF001


_CLASSES = {table._meta.tablename: table for table in APP_CONFIG.table_classes}  # noqa: SLF001

TABLES: tuple[Shown, ...] = (
    Shown(
        "organization",
        CUSTOMERS,
        "slug name state billing_mode spend_cap_month_micro created_at",
        "slug name state billing_mode created_at",
        "slug",
        link="slug",
    ),
    Shown("membership", CUSTOMERS, "id organization_id user_id role created_at", "organization_id user_id role", "-id"),
    Shown(
        "invitation",
        CUSTOMERS,
        "email organization_id role invited_by expires_at accepted_at withdrawn_at",
        "organization_id email role",
        "-created_at",
        link="email",
    ),
    Shown(
        "api_key",
        CUSTOMERS,
        "name organization_id prefix last4 environment expires_at revoked_at last_used_at created_at",
        "id organization_id public_id created_at",
        "-created_at",
        link="name",
        orders="id created_at public_id",
    ),
    Shown(
        "users",
        PEOPLE,
        "email first_name last_name active operator_role email_verified_at last_login created_at",
        "email first_name last_name active operator_role created_at",
        "email",
        link="email",
    ),
    Shown(
        "user_preference",
        PEOPLE,
        "id user_id theme time_zone notify_new_device notify_usage notify_news updated_at",
        "user_id theme",
        "-updated_at",
    ),
    Shown(
        "portal_session",
        PEOPLE,
        "id user_id face address awaits_factor last_seen_at expires_at acting_for",
        "user_id face address acting_for",
        "-expires_at",
    ),
    Shown("user_link", PEOPLE, "id user_id purpose email expires_at used_at", "user_id purpose email", "-expires_at"),
    Shown("totp_factor", PEOPLE, "id user_id confirmed_at created_at", "user_id", "-created_at"),
    Shown("recovery_code", PEOPLE, "id user_id used_at created_at", "user_id", "-created_at"),
    Shown("outside_identity", PEOPLE, "id user_id issuer email last_used_at", "user_id issuer email", "-created_at"),
    Shown(
        "access_token",
        PEOPLE,
        "name user_id organization_id last4 read_only expires_at revoked_at last_used_at",
        "user_id organization_id name",
        "-created_at",
        link="name",
    ),
    Shown(
        "plan",
        SOLD,
        "slug name active public price_cents currency sort_order overage trial_days",
        "slug name active public",
        "sort_order",
        link="slug",
    ),
    Shown(
        "plan_limit",
        SOLD,
        "name plan_id amount period scope unit shadow service_id operation_id",
        "plan_id name period scope unit shadow service_id operation_id",
        "plan_id",
        link="name",
    ),
    Shown("plan_price", SOLD, "id plan_id operation_id price_micro quota_cost", "plan_id operation_id", "plan_id"),
    Shown("plan_version", SOLD, "id plan_id number created_at", "plan_id number", "-created_at"),
    Shown(
        "subscription",
        SOLD,
        "id organization_id plan_id state period_start period_end cancel_at next_plan_id trial_ends_at",
        "organization_id plan_id state period_end cancel_at trial_ends_at",
        "-created_at",
    ),
    Shown("trial_claim", SOLD, "id organization_id email created_at", "organization_id email", "-created_at"),
    Shown(
        "limit_override",
        SOLD,
        "id organization_id limit_name amount shadow until reason",
        "organization_id limit_name until",
        "-created_at",
    ),
    Shown(
        "service",
        SERVICES,
        "slug name route_prefix upstreams enabled beta coming_soon charge_on sort_order",
        "slug name route_prefix enabled category",
        "sort_order",
        link="slug",
    ),
    Shown(
        "operation",
        SERVICES,
        "name service_id method path_pattern price_micro quota_cost reserved replays asynchronous enabled",
        "service_id name method path_pattern enabled reserved",
        "path_pattern",
        link="name",
    ),
    Shown(
        "request_log",
        USAGE,
        "id at organization_id key_id method path status outcome refusal total_us cost_micro",
        "id at organization_id key_id",
        "-at",
        orders="at",
    ),
    Shown("log_day", USAGE, "id day edition rows summarised_at dropped_at", "day edition", "-day"),
    Shown(
        "idempotent_request",
        USAGE,
        "id organization_id operation_id idempotency_key state status expires_at",
        "id organization_id expires_at",
        "-expires_at",
        orders="id expires_at",
        hidden="headers",
    ),
    Shown(
        "async_job",
        USAGE,
        "id organization_id service_id operation_id status reason progress price_micro charged_micro created_at",
        "id organization_id created_at",
        "-created_at",
        orders="id created_at",
        hidden="target",
    ),
    Shown(
        "credit_account",
        MONEY,
        "id organization_id balance_micro leased_micro reserved_micro usage_micro entries",
        "organization_id balance_micro",
        "-balance_micro",
    ),
    Shown(
        "credit_entry",
        MONEY,
        "id organization_id number type amount_micro balance_after_micro reason actor created_at",
        "id organization_id refund_of created_at",
        "-created_at",
        orders="id created_at",
    ),
    Shown(
        "credit_grant",
        MONEY,
        "id organization_id amount_micro remaining_micro priority expires_at entry_id",
        "id organization_id entry_id",
        "-id",
        orders="id",
    ),
    Shown("credit_holder", MONEY, "id created_at closed_at", "created_at closed_at", "-created_at"),
    Shown(
        "credit_lease",
        MONEY,
        "id organization_id holder_id amount_micro spent_micro returned_micro renewed_at",
        "organization_id holder_id",
        "-renewed_at",
    ),
    Shown(
        "credit_reservation",
        MONEY,
        "id organization_id amount_micro settled_micro state deadline ended_at created_at",
        "id organization_id",
        "-id",
        orders="id",
    ),
    Shown("bonus_claim", MONEY, "id organization_id created_at", "organization_id", "-created_at"),
    Shown(
        "outbox_message",
        MESSAGES,
        "id template recipient state attempts due_at ended_at last_error created_at",
        "id created_at",
        "-created_at",
        orders="id created_at",
    ),
    Shown(
        "webhook_endpoint",
        MESSAGES,
        "url organization_id description disabled_at deleted_at created_at",
        "organization_id url",
        "-created_at",
        link="url",
    ),
    Shown(
        "webhook_event",
        MESSAGES,
        "id organization_id type created_at",
        "id organization_id created_at",
        "-created_at",
        orders="id created_at",
    ),
    Shown(
        "webhook_delivery",
        MESSAGES,
        "id event_id endpoint_id organization_id state attempts response_status due_at created_at",
        "id event_id endpoint_id organization_id created_at",
        "-created_at",
        orders="id created_at",
    ),
    Shown("notice", MESSAGES, "id organization_id kind about created_at", "organization_id kind about", "-created_at"),
    Shown(
        "alert_state",
        MESSAGES,
        "id organization_id kind name level value threshold period_ends since",
        "organization_id kind level",
        "-since",
    ),
    Shown(
        "alert_choice",
        MESSAGES,
        "id organization_id usage_percents low_credits_micro day_cost_micro error_percent error_requests updated_at",
        "organization_id",
        "-updated_at",
    ),
    Shown("api_reply", RECORDS, "id scope status created_at", "created_at status", "-created_at", hidden="key"),
    Shown(
        "audit_entry",
        RECORDS,
        "id created_at actor_kind actor_name verb object_type object_name organization_id reason",
        "id organization_id actor_id actor_name verb object_type object_id request_id created_at",
        "-created_at",
        orders="id created_at",
    ),
    Shown(
        "audit_link",
        RECORDS,
        "position day entry_id created_at",
        "position",
        "-position",
        link="position",
        orders="position",
    ),
    Shown(
        "audit_seal",
        RECORDS,
        "last_position first_position day created_at",
        "day last_position",
        "-last_position",
        link="last_position",
    ),
    Shown("audit_unsealed", RECORDS, "id entry_id created_at", "id entry_id", "-id"),
    Shown("job", RUNNING, "name description cron time_zone gone_at", "name gone_at", "name", link="name"),
    Shown(
        "job_run",
        RUNNING,
        "id name state attempt requested_by due_at started_at ended_at error",
        "name state requested_by created_at retry_of",
        "-created_at",
    ),
    Shown(
        "legacy_row",
        RECORDS,
        "id source kind old_id new_id mailed_at created_at",
        "id source kind old_id",
        "source",
        orders="id source",
    ),
    Shown("applied_config", RECORDS, "id actor_name sha256 created_at", "actor_name sha256", "-created_at"),
)
"""Every table of the schema; a test names one that is missing."""

BY_NAME: Mapping[str, Shown] = {shown.name: shown for shown in TABLES}
