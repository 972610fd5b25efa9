"""API keys: never the key itself, only what recognises it."""

from enum import StrEnum
from typing import Any

from piccolo.columns import UUID, Array, BigInt, Bytea, ForeignKey, Integer, SmallInt, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.columns.readable import Readable
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from schema.accounts import Organization


class KeyScheme(StrEnum):
    """How the digest was made: HMAC-SHA-256 under a pepper (ours), or plain SHA-256 (imported)."""

    HMAC = "hmac"
    SHA256 = "sha256"


class KeyEnvironment(StrEnum):
    """Live keys are for real traffic, test keys for trying things out."""

    LIVE = "live"
    TEST = "test"


class ApiKey(Table, tablename="api_key"):
    """What is known of a key after it was shown once."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    organization_id = ForeignKey(
        Organization, null=False, index=True, on_delete=OnDelete.restrict, help_text="The organization that owns it."
    )
    name = Text(default=None, required=True, help_text="The customer's name for it.")
    scheme = Text(default=None, required=True, choices=KeyScheme, help_text="How the digest was made.")
    public_id = Text(null=True, default=None, help_text="The part of the key that is no secret; null: imported.")
    prefix = Text(default=None, required=True, help_text="What the key begins with, for display.")
    last4 = Text(default=None, required=True, help_text="What the key ends with, for display.")
    digest = Bytea(default=None, required=True, secret=True, help_text="32 bytes; the key cannot be had from it.")
    pepper_version = SmallInt(null=True, default=None, help_text="Which pepper made the digest; null: imported.")
    environment = Text(default=KeyEnvironment.LIVE, choices=KeyEnvironment, help_text="Live or test.")
    scopes = Array(base_column=Text(), default=list, help_text="`service` or `service:operation`; empty: everything.")
    allowed_ips = Array(base_column=Text(), default=list, help_text="Networks in CIDR form; empty: anywhere.")
    expires_at = Timestamptz(null=True, default=None, help_text="Refused from then on; null: never.")
    revoked_at = Timestamptz(null=True, default=None, help_text="Refused since then; null: not revoked.")
    revoked_reason = Text(null=True, default=None, help_text="Why it was revoked.")
    rotated_from: ForeignKey[Any] = ForeignKey(
        "self", null=True, index=True, on_delete=OnDelete.restrict, help_text="The key that this one replaces."
    )
    last_used_at = Timestamptz(null=True, default=None, help_text="To the minute or so.")
    spend_cap_day_micro = BigInt(null=True, default=None, help_text="Most micro-credits of a UTC day; null: no cap.")
    spend_cap_month_micro = BigInt(null=True, default=None, help_text="Most micro-credits of a period; null: no cap.")
    created_by = Integer(null=True, default=None, help_text="The user who made it; null: an operator or a script.")

    uq_api_key_public_id = Unique([public_id])
    uq_api_key_digest = Unique([digest])
    ck_api_key_name = Check("length(name) between 1 and 120")
    ck_api_key_scheme = Check("scheme in ('hmac', 'sha256')")
    ck_api_key_environment = Check("environment in ('live', 'test')")
    ck_api_key_digest = Check("octet_length(digest) = 32")
    ck_api_key_hmac = Check(
        "(scheme = 'hmac') = (pepper_version is not null) and (scheme = 'hmac') = (public_id is not null)"
    )
    ck_api_key_spend_caps = Check("spend_cap_day_micro >= 0 and spend_cap_month_micro >= 0")
    ck_api_key_revoked_reason = Check("revoked_reason is null or revoked_at is not null")

    @classmethod
    def get_readable(cls) -> Readable:
        """How the admin names a row."""
        return Readable(template="%s %s...%s", columns=[cls.name, cls.prefix, cls.last4])
