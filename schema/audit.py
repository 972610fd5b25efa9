"""Who did what. Append-only by trigger."""

from enum import StrEnum

from piccolo.columns import JSONB, UUID, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from schema.accounts import Organization


class ActorKind(StrEnum):
    """Who acts: a customer's user, an operator, a program of ours."""

    USER = "user"
    OPERATOR = "operator"
    SYSTEM = "system"


class AuditEntry(Table, tablename="audit_entry"):
    """One change, written in the transaction that made it."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    organization_id = ForeignKey(
        Organization,
        null=True,
        index=False,
        on_delete=OnDelete.restrict,
        help_text="Whose; null: of no organization, such as a sign-in.",
    )
    actor_kind = Text(default=None, required=True, choices=ActorKind, help_text="Who acted.")
    actor_id = Integer(null=True, default=None, help_text="The user; null: a program.")
    actor_name = Text(default="", help_text="The user's e-mail then, or the program.")
    verb = Text(default=None, required=True, help_text="From a closed list, such as key.revoke.")
    object_type = Text(default="", help_text="What kind of thing was changed.")
    object_id = Text(default="", help_text="Which.")
    object_name = Text(default="", help_text="Its name then.")
    before = JSONB(null=True, default=None, help_text="What changed, as it was. Never a secret.")
    after = JSONB(null=True, default=None, help_text="What changed, as it became. Never a secret.")
    reason = Text(default="", help_text="Why, in the actor's words.")
    address = Text(default="", help_text="The client's address.")
    request_id = Text(default="", help_text="The request that did it.")

    ck_audit_entry_actor_kind = Check("actor_kind in ('user', 'operator', 'system')")


class ApiReply(Table, tablename="api_reply"):
    """What the portal's API answered under an Idempotency-Key. Secrets are never kept in it."""

    id = UUID(primary_key=True)
    created_at = Timestamptz(default=TimestamptzNow())
    scope = Text(default=None, required=True, help_text="Whose keys: user, organization and route.")
    key = Text(default=None, required=True, help_text="The Idempotency-Key.")
    fingerprint = Text(default=None, required=True, help_text="SHA-256 of the request.")
    status = Integer(null=True, default=None, help_text="The answer's status; null: still running.")
    body = JSONB(null=True, default=None, help_text="The answer, without what is shown once.")

    uq_api_reply_scope_key = Unique([scope, key])
