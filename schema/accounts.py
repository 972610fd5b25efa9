"""Who uses the product: organizations (the tenants), users, memberships."""

from enum import StrEnum

from piccolo.columns import UUID, BigInt, ForeignKey, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.columns.readable import Readable
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from schema.users import User


class OrganizationState(StrEnum):
    """A suspended organization's keys are refused; a closed one is kept for its records only."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"


class MembershipRole(StrEnum):
    """What a user may do in one organization."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    BILLING = "billing"
    VIEWER = "viewer"


class BillingMode(StrEnum):
    """What a request costs an organization: credits, or units of its plan's quotas."""

    CREDITS = "credits"
    QUOTA = "quota"


class Organization(Table, tablename="organization"):
    """A tenant: it owns keys, subscriptions, credits and logs."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    slug = Text(default=None, required=True, help_text="Stable name in URLs and on the command line.")
    name = Text(default=None, required=True, help_text="As the customer writes it.")
    state = Text(
        default=OrganizationState.ACTIVE,
        choices=OrganizationState,
        help_text="Keys of a suspended or closed organization are refused.",
    )
    billing_mode = Text(
        default=BillingMode.CREDITS, choices=BillingMode, help_text="Whether requests cost credits or quota units."
    )
    spend_cap_day_micro = BigInt(null=True, default=None, help_text="Most micro-credits of a UTC day; null: no cap.")
    spend_cap_month_micro = BigInt(null=True, default=None, help_text="Most micro-credits of a period; null: no cap.")

    uq_organization_slug = Unique([slug])
    ck_organization_slug = Check("slug ~ '^[a-z0-9][a-z0-9-]*$' and length(slug) <= 63")
    ck_organization_name = Check("length(name) between 1 and 120")
    ck_organization_state = Check("state in ('active', 'suspended', 'closed')")
    ck_organization_billing_mode = Check("billing_mode in ('credits', 'quota')")
    ck_organization_spend_caps = Check("spend_cap_day_micro >= 0 and spend_cap_month_micro >= 0")

    @classmethod
    def get_readable(cls) -> Readable:
        """How the admin names a row."""
        return Readable(template="%s", columns=[cls.slug])


class Membership(Table, tablename="membership"):
    """A user's role in an organization."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    organization_id = ForeignKey(
        Organization, null=False, index=True, on_delete=OnDelete.restrict, help_text="The organization."
    )
    user_id = ForeignKey(User, null=False, index=True, on_delete=OnDelete.restrict, help_text="The user.")
    role = Text(default=None, required=True, choices=MembershipRole, help_text="What the user may do.")

    uq_membership_organization_id_user_id = Unique([organization_id, user_id])
    ck_membership_role = Check("role in ('owner', 'admin', 'developer', 'billing', 'viewer')")
