"""Who did what, and the chain of hashes over it. Append-only by trigger."""

from enum import StrEnum

from piccolo.columns import JSONB, UUID, BigInt, BigSerial, Bytea, Date, ForeignKey, Integer, Text, Timestamptz
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


class AuditUnsealed(Table, tablename="audit_unsealed"):
    """An entry that waits for its link: written by trigger with the entry, deleted in the transaction that links it."""

    id = BigSerial(primary_key=True, help_text="In the order in which entries were written.")
    created_at = Timestamptz(default=TimestamptzNow())
    entry_id = UUID(default=None, required=True, help_text="The entry.")

    uq_audit_unsealed_entry_id = Unique([entry_id])


class AuditLink(Table, tablename="audit_link"):
    """One link of the chain: an entry's place, and the hash over it and everything before. Written by the sealer only.

    The entry is no foreign key: a link that has lost its entry is what verifying looks for.
    """

    position = BigInt(primary_key=True, default=None, required=True, help_text="From 1, without a gap.")
    created_at = Timestamptz(default=None, required=True, help_text="When it was sealed.")
    entry_id = UUID(default=None, required=True, help_text="The entry.")
    day = Date(default=None, required=True, help_text="The chain's day (UTC); it never goes back.")
    hash = Bytea(default=None, required=True, help_text="SHA-256 of the link before, this link and the entry.")

    uq_audit_link_entry_id = Unique([entry_id])
    ck_audit_link_position = Check("position > 0")
    ck_audit_link_hash = Check("length(hash) = 32")


class AuditSeal(Table, tablename="audit_seal"):
    """Links of one day that were written at once, and the head that the chain had then."""

    last_position = BigInt(primary_key=True, default=None, required=True, help_text="The last of its links.")
    created_at = Timestamptz(default=None, required=True, help_text="When it was sealed.")
    first_position = BigInt(default=None, required=True, help_text="The first of its links.")
    day = Date(default=None, required=True, help_text="Their day (UTC).")
    head = Bytea(default=None, required=True, help_text="The hash of the last link.")

    ck_audit_seal_positions = Check("first_position > 0 and first_position <= last_position")
    ck_audit_seal_head = Check("length(head) = 32")


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
