"""How a person proves who they are: sessions, one-use links, second factors, outside accounts, access tokens.

No secret stands here in clear: of what is random only its SHA-256, of what must be read again only its sealed form
(`domain.sealing`).
"""

from enum import StrEnum
from typing import Any

from piccolo.columns import UUID, BigInt, Boolean, Bytea, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from schema.accounts import Organization
from schema.users import User


class LinkPurpose(StrEnum):
    """What a mailed link does, once."""

    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105  a purpose, not a password
    CHANGE_EMAIL = "change_email"
    KEEP_ACCOUNT = "keep_account"


class PortalSession(Table, tablename="portal_session"):
    """A browser that is signed in to the portal or the back office, or that has yet to show its second factor.

    An operator who acts as a customer has a session of the portal that names the organization.
    """

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow(), help_text="When it was signed in.")
    user_id = ForeignKey(User, null=False, index=True, on_delete=OnDelete.cascade, help_text="The user.")
    token_digest = Bytea(default=None, required=True, secret=True, help_text="SHA-256 of the cookie's token.")
    awaits_factor = Boolean(default=False, help_text="The password was right; the second factor is still missing.")
    proven_at = Timestamptz(default=TimestamptzNow(), help_text="When the user last proved who they are.")
    last_seen_at = Timestamptz(default=TimestamptzNow(), help_text="To the minute or so.")
    expires_at = Timestamptz(default=None, required=True, help_text="Ends then, however much it is used.")
    address = Text(default="", help_text="The client's address when it was last seen.")
    user_agent = Text(default="", help_text="The browser, as it names itself; at most 400 characters.")
    face = Text(default="portal", help_text="Where it is good: portal or admin.")
    acting_for = ForeignKey(
        Organization,
        null=True,
        index=False,
        on_delete=OnDelete.cascade,
        help_text="The organization that an operator acts as; null: nobody's but the user's own.",
    )
    acting_may_change = Boolean(default=False, help_text="Whether that operator may change things there.")

    uq_portal_session_token_digest = Unique([token_digest])
    ck_portal_session_face = Check("face in ('portal', 'admin')")
    ck_portal_session_acting = Check("acting_for is null or face = 'portal'")
    ck_portal_session_token_digest = Check("octet_length(token_digest) = 32")


class UserLink(Table, tablename="user_link"):
    """A link that was mailed: good once, for a short time."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    user_id = ForeignKey(User, null=False, index=True, on_delete=OnDelete.cascade, help_text="The user.")
    purpose = Text(default=None, required=True, choices=LinkPurpose, help_text="What it does.")
    token_digest = Bytea(default=None, required=True, secret=True, help_text="SHA-256 of the link's token.")
    email = Text(default=None, required=True, help_text="The address that it was sent to.")
    expires_at = Timestamptz(default=None, required=True, help_text="No good from then on.")
    used_at = Timestamptz(null=True, default=None, help_text="When it was used, or made void by another one.")
    organization_name = Text(
        null=True, default=None, help_text="Of a sign-up: the organization that is founded with the link; null: none."
    )

    uq_user_link_token_digest = Unique([token_digest])
    ck_user_link_token_digest = Check("octet_length(token_digest) = 32")
    ck_user_link_organization_name = Check("length(organization_name) between 1 and 120")
    ck_user_link_purpose = Check("purpose in ('verify_email', 'reset_password', 'change_email', 'keep_account')")


class BonusClaim(Table, tablename="bonus_claim"):
    """Whose mailbox has had the sign-up bonus: once, whatever becomes of the account and the organization."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    mailbox_digest = Bytea(
        default=None, required=True, secret=True, help_text="Keyed digest of the mailbox, without what aliases add."
    )
    organization_id = ForeignKey(
        Organization, null=False, index=True, on_delete=OnDelete.restrict, help_text="The organization that got it."
    )

    uq_bonus_claim_mailbox_digest = Unique([mailbox_digest])
    ck_bonus_claim_mailbox_digest = Check("octet_length(mailbox_digest) = 32")


class TotpFactor(Table, tablename="totp_factor"):
    """A user's authenticator (RFC 6238), counted from when its first code was shown."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    user_id = ForeignKey(User, null=False, index=False, on_delete=OnDelete.cascade, help_text="The user.")
    secret = Bytea(default=None, required=True, secret=True, help_text="Sealed.")
    confirmed_at = Timestamptz(null=True, default=None, help_text="When it was proven; null: not in force yet.")
    last_step = BigInt(default=0, help_text="Time step of the last code that was taken: none is taken twice.")

    uq_totp_factor_user_id = Unique([user_id])


class RecoveryCode(Table, tablename="recovery_code"):
    """A code that stands in for the second factor, once."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    user_id = ForeignKey(User, null=False, index=True, on_delete=OnDelete.cascade, help_text="The user.")
    code_digest = Bytea(default=None, required=True, secret=True, help_text="SHA-256 of the code.")
    used_at = Timestamptz(null=True, default=None, help_text="When it was used.")

    uq_recovery_code_user_id_code_digest = Unique([user_id, code_digest])
    ck_recovery_code_code_digest = Check("octet_length(code_digest) = 32")


class OutsideIdentity(Table, tablename="outside_identity"):
    """An account elsewhere (Google, GitHub, an OpenID provider) that signs a user in."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    user_id = ForeignKey(User, null=False, index=True, on_delete=OnDelete.cascade, help_text="The user.")
    issuer = Text(default=None, required=True, help_text="Who vouches: the issuer's identifier.")
    subject = Text(default=None, required=True, help_text="The account there; never changes.")
    email = Text(default="", help_text="The address there when it was last used.")
    last_used_at = Timestamptz(null=True, default=None, help_text="When it last signed the user in.")

    uq_outside_identity_issuer_subject = Unique([issuer, subject])
    ck_outside_identity_length = Check("length(issuer) between 1 and 255 and length(subject) between 1 and 255")


class AccessToken(Table, tablename="access_token"):
    """A personal access token: a program that acts for one user in one organization, through the portal's API."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    user_id = ForeignKey(User, null=False, index=True, on_delete=OnDelete.cascade, help_text="For whom it acts.")
    organization_id = ForeignKey(
        Organization, null=False, index=True, on_delete=OnDelete.restrict, help_text="Where it acts."
    )
    name = Text(default=None, required=True, help_text="The user's name for it.")
    token_digest = Bytea(default=None, required=True, secret=True, help_text="SHA-256 of the token.")
    last4 = Text(default=None, required=True, help_text="What the token ends with, for display.")
    read_only = Boolean(default=True, help_text="It may look, and change nothing.")
    expires_at = Timestamptz(null=True, default=None, help_text="No good from then on; null: never.")
    revoked_at = Timestamptz(null=True, default=None, help_text="No good since then.")
    last_used_at = Timestamptz(null=True, default=None, help_text="To the minute or so.")

    uq_access_token_token_digest = Unique([token_digest])
    ck_access_token_token_digest = Check("octet_length(token_digest) = 32")
    ck_access_token_name = Check("length(name) between 1 and 120")


class UserPreference(Table, tablename="user_preference"):
    """How a user wants to see and hear of things. A user without a row has the defaults."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    user_id = ForeignKey(User, null=False, index=False, on_delete=OnDelete.cascade, help_text="The user.")
    updated_at = Timestamptz(default=TimestamptzNow(), help_text="When it was last changed.")
    version = Integer(default=1, help_text="Counts the changes; the ETag of the settings.")
    theme = Text(default="system", help_text="light, dark or system.")
    time_zone = Text(default="UTC", help_text="IANA name.")
    notify_new_device = Boolean(default=True, help_text="Mail when a new device signs in.")
    notify_usage = Boolean(default=True, help_text="Mail at thresholds of limits, quotas and credits.")
    notify_news = Boolean(default=False, help_text="Mail about new services and prices.")

    uq_user_preference_user_id = Unique([user_id])
    ck_user_preference_theme = Check("theme in ('light', 'dark', 'system')")
    ck_user_preference_time_zone = Check("length(time_zone) between 1 and 64")


class Invitation(Table, tablename="invitation"):
    """A seat in an organization that was offered by mail."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    organization_id = ForeignKey(
        Organization, null=False, index=True, on_delete=OnDelete.restrict, help_text="The organization."
    )
    email = Text(default=None, required=True, help_text="Whom it was sent to; lower-case.")
    role = Text(default=None, required=True, help_text="What they would be; never owner.")
    token_digest = Bytea(default=None, required=True, secret=True, help_text="SHA-256 of the link's token.")
    invited_by: ForeignKey[Any] = ForeignKey(
        User, null=True, index=False, on_delete=OnDelete.set_null, help_text="Who invited."
    )
    expires_at = Timestamptz(default=None, required=True, help_text="No good from then on.")
    accepted_at = Timestamptz(null=True, default=None, help_text="When it was accepted.")
    withdrawn_at = Timestamptz(null=True, default=None, help_text="When it was taken back.")

    uq_invitation_token_digest = Unique([token_digest])
    ck_invitation_token_digest = Check("octet_length(token_digest) = 32")
    ck_invitation_role = Check("role in ('admin', 'developer', 'billing', 'viewer')")
    ck_invitation_email = Check("email = lower(email) and length(email) between 3 and 255")
