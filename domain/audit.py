"""The audit trail: who did what to which thing, written in the transaction that did it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain.stored_json import stored_json

SYSTEM = "system"
BY_COMMAND = "paid-endpoint by "
"""So begins the name of an actor that is a command: of an operator at a terminal."""
TEXT_LENGTH = 500


class Verb(StrEnum):
    """Everything that is worth a trace: `noun.verb`. A closed list: what is not here is not written."""

    ACCOUNT_SIGN_UP = "account.sign_up"
    ACCOUNT_SIGN_IN = "account.sign_in"
    ACCOUNT_SIGN_IN_FAILED = "account.sign_in_failed"
    ACCOUNT_SIGN_OUT = "account.sign_out"
    ACCOUNT_VERIFY_EMAIL = "account.verify_email"
    ACCOUNT_ASK_EMAIL = "account.ask_email"
    ACCOUNT_CANCEL_EMAIL = "account.cancel_email"
    ACCOUNT_CHANGE_EMAIL = "account.change_email"
    ACCOUNT_CHANGE_PASSWORD = "account.change_password"  # noqa: S105  a verb
    ACCOUNT_RESET_PASSWORD = "account.reset_password"  # noqa: S105  a verb
    ACCOUNT_BEGIN_FACTOR = "account.begin_factor"
    ACCOUNT_ENABLE_FACTOR = "account.enable_factor"
    ACCOUNT_DISABLE_FACTOR = "account.disable_factor"
    ACCOUNT_USE_RECOVERY_CODE = "account.use_recovery_code"
    ACCOUNT_RENEW_RECOVERY_CODES = "account.renew_recovery_codes"
    ACCOUNT_CONNECT = "account.connect"
    ACCOUNT_DISCONNECT = "account.disconnect"
    ACCOUNT_END_SESSION = "account.end_session"
    ACCOUNT_CHANGE_NAME = "account.change_name"
    ACCOUNT_CHANGE_SETTINGS = "account.change_settings"
    ACCOUNT_RENEW_PROOF = "account.renew_proof"
    ACCOUNT_DELETE = "account.delete"
    ACCOUNT_KEEP = "account.keep"
    ACCOUNT_ERASE = "account.erase"
    ACCOUNT_CREATE = "account.create"
    ACCOUNT_SEND_LINK = "account.send_link"
    ACCOUNT_RESET_FACTOR = "account.reset_factor"
    ACCOUNT_END_ALL_SESSIONS = "account.end_all_sessions"
    TOKEN_CREATE = "token.create"  # noqa: S105  a verb
    TOKEN_REVOKE = "token.revoke"  # noqa: S105  a verb
    ORGANIZATION_CREATE = "organization.create"
    ORGANIZATION_IMPORT = "organization.import"
    ORGANIZATION_CHANGE = "organization.change"
    ORGANIZATION_CLOSE = "organization.close"
    ORGANIZATION_SUSPEND = "organization.suspend"
    ORGANIZATION_RESTORE = "organization.restore"
    ORGANIZATION_TRANSFER = "organization.transfer"
    MEMBER_INVITE = "member.invite"
    MEMBER_WITHDRAW = "member.withdraw"
    MEMBER_JOIN = "member.join"
    MEMBER_CHANGE_ROLE = "member.change_role"
    MEMBER_REMOVE = "member.remove"
    KEY_CREATE = "key.create"
    KEY_IMPORT = "key.import"
    KEY_CHANGE = "key.change"
    KEY_ROTATE = "key.rotate"
    KEY_REVOKE = "key.revoke"
    SUBSCRIPTION_CHANGE = "subscription.change"
    SUBSCRIPTION_CANCEL = "subscription.cancel"
    SUBSCRIPTION_RESUME = "subscription.resume"
    SUBSCRIPTION_EXTEND = "subscription.extend"
    LIMIT_OVERRIDE = "limit.override"
    LIMIT_END_OVERRIDE = "limit.end_override"
    CREDITS_GRANT = "credits.grant"
    CREDITS_ADJUST = "credits.adjust"
    CREDITS_REFUND = "credits.refund"
    CREDITS_RELEASE = "credits.release"
    CREDITS_BOOK_PAYMENT = "credits.book_payment"
    THRESHOLDS_CHANGE = "thresholds.change"
    SPEND_CAP_CHANGE = "spend_cap.change"
    LOGS_EXPORT = "logs.export"
    WEBHOOK_CREATE = "webhook.create"
    WEBHOOK_CHANGE = "webhook.change"
    WEBHOOK_ROTATE_SECRET = "webhook.rotate_secret"  # noqa: S105  a verb
    WEBHOOK_DELETE = "webhook.delete"
    WEBHOOK_REPLAY = "webhook.replay"
    WEBHOOK_TEST = "webhook.test"
    ASYNC_JOB_CANCEL = "async_job.cancel"
    ASYNC_JOB_SEND = "async_job.send"
    CONFIG_APPLY = "config.apply"
    CONFIG_ROLLBACK = "config.rollback"
    TABLE_CREATE = "table.create"
    TABLE_CHANGE = "table.change"
    TABLE_DELETE = "table.delete"
    PLAN_CREATE = "plan.create"
    PLAN_CHANGE = "plan.change"
    PLAN_ARCHIVE = "plan.archive"
    PLAN_REOPEN = "plan.reopen"
    PLAN_RESTORE = "plan.restore"
    PLAN_SHADOW_LIMIT = "plan.shadow_limit"
    PLAN_ENFORCE_LIMIT = "plan.enforce_limit"
    SERVICE_CREATE = "service.create"
    SERVICE_CHANGE = "service.change"
    SERVICE_ENABLE = "service.enable"
    SERVICE_DISABLE = "service.disable"
    SERVICE_BOUND_JOBS = "service.bound_jobs"
    SERVICE_SHOW_CALLBACK_SECRET = "service.show_callback_secret"  # noqa: S105  a verb
    SERVICE_ROTATE_CALLBACK_SECRET = "service.rotate_callback_secret"  # noqa: S105  a verb
    OPERATION_CREATE = "operation.create"
    OPERATION_CHANGE = "operation.change"
    OPERATION_ENABLE = "operation.enable"
    OPERATION_DISABLE = "operation.disable"
    OPERATION_MAKE_ASYNCHRONOUS = "operation.make_asynchronous"
    OPERATION_MAKE_SYNCHRONOUS = "operation.make_synchronous"
    MAIL_TEST = "mail.test"
    CONFIG_IMPORT = "config.import"
    JOB_RUN = "job.run"
    JOB_RETRY = "job.retry"
    BACKUP_TAKE = "backup.take"
    BACKUP_RESTORE = "backup.restore"
    ALERT_SNOOZE = "alert.snooze"
    ALERT_WAKE = "alert.wake"
    OPERATOR_ACT_ASK = "operator.act_ask"
    OPERATOR_ACT_BEGIN = "operator.act_begin"
    OPERATOR_ACT_REQUEST = "operator.act_request"
    OPERATOR_ACT_END = "operator.act_end"
    OPERATOR_APPOINT = "operator.appoint"
    OPERATOR_DISMISS = "operator.dismiss"
    OPERATOR_END_SESSIONS = "operator.end_sessions"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, from where. `kind` is user, operator or system; a program has no `id`."""

    kind: str = SYSTEM
    id: int | None = None
    name: str = ""
    address: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Thing:
    """What is acted upon: its kind, its id, and its name at that moment."""

    type: str
    id: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """What one entry says of a thing: what changed, as it was and as it became."""

    thing: Thing
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


_INSERT = """
    insert into audit_entry (organization_id, actor_kind, actor_id, actor_name, verb, reason, address, request_id,
        object_type, object_id, object_name, before, after)
    select $1, $2, $3, $4, $5, $6, $7, $8, type, id, name, before::jsonb, after::jsonb
    from unnest($9::text[], $10::text[], $11::text[], $12::text[], $13::text[]) with ordinality
        as given (type, id, name, before, after, place)
    order by place
"""
_written: ContextVar["list[Verb] | None"] = ContextVar("audit_entries_written", default=None)


@contextmanager
def collecting() -> "Iterator[list[Verb]]":
    """The verbs of all entries that are written in this block, as they come: none means that nobody said what was done."""
    verbs: list[Verb] = []
    token = _written.set(verbs)
    try:
        yield verbs
    finally:
        _written.reset(token)


async def record(
    connection: Any,
    actor: Actor,
    verb: Verb,
    thing: Thing,
    *,
    organization_id: UUID | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> None:
    """Write one entry on the caller's connection. `before` and `after` hold what changed, and never a secret.

    Call it inside the transaction of the change: both happen or neither. Values that JSON does not know become text.
    """
    await record_many(
        connection, actor, verb, [Written(thing, before, after)], organization_id=organization_id, reason=reason
    )


async def record_many(
    connection: Any,
    actor: Actor,
    verb: Verb,
    entries: Sequence[Written],
    *,
    organization_id: UUID | None = None,
    reason: str = "",
) -> None:
    """One entry for each, in their order, by one statement; else as `record`."""
    await connection.execute(
        _INSERT,
        organization_id,
        actor.kind,
        actor.id,
        actor.name[:TEXT_LENGTH],
        verb.value,
        reason[:TEXT_LENGTH],
        actor.address,
        actor.request_id,
        [entry.thing.type for entry in entries],
        [entry.thing.id for entry in entries],
        [entry.thing.name[:TEXT_LENGTH] for entry in entries],
        [_json(entry.before) for entry in entries],
        [_json(entry.after) for entry in entries],
    )
    if (verbs := _written.get()) is not None:
        verbs += [verb] * len(entries)


def _json(values: Mapping[str, Any] | None) -> str | None:
    return None if values is None else stored_json(dict(values))
