"""Requests that callers may repeat under one Idempotency-Key: what was asked, and what was answered."""

from enum import StrEnum

from piccolo.columns import JSONB, UUID, Bytea, ForeignKey, SmallInt, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from schema.accounts import Organization


class IdempotentState(StrEnum):
    """Running: the first request under this key has no outcome yet."""

    RUNNING = "running"
    DONE = "done"


class IdempotentRequest(Table, tablename="idempotent_request"):
    """The first request under a key, of an operation that opts in. Its id is the request's."""

    id = UUID(primary_key=True, default=None, required=True, help_text="The request's id.")
    created_at = Timestamptz(default=TimestamptzNow())
    organization_id = ForeignKey(
        Organization, null=False, index=False, on_delete=OnDelete.restrict, help_text="The organization."
    )
    operation_id = UUID(default=None, required=True, help_text="The operation.")
    holder_id = UUID(default=None, required=True, help_text="The journal of the worker that serves it.")
    idempotency_key = Text(default=None, required=True, help_text="As the caller sent it.")
    fingerprint = Bytea(default=None, required=True, help_text="SHA-256 of method, target, and body.")
    state = Text(default=IdempotentState.RUNNING, choices=IdempotentState, help_text="Running or done.")
    status = SmallInt(null=True, default=None, help_text="Of the stored answer.")
    headers = JSONB(null=True, default=None, help_text="Of the stored answer: [name, value] in order.")
    body = Bytea(null=True, default=None, help_text="Of the stored answer.")
    expires_at = Timestamptz(default=None, required=True, help_text="Forgotten from then on.")

    uq_idempotent_request_organization_id_idempotency_key = Unique([organization_id, idempotency_key])
    ck_idempotent_request_state = Check("state in ('running', 'done') and (state = 'done') = (status is not null)")
    ck_idempotent_request_key = Check("length(idempotency_key) between 1 and 255")
    ck_idempotent_request_fingerprint = Check("octet_length(fingerprint) = 32")
