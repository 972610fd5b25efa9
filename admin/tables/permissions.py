"""Who may do what with the rows of which table: one literal table, by the rights of `domain.operators`.

Everybody sees customers and configuration, who may see money the ledger, who may see sign-ins what people sign in with.
Rows are written by hand only where `admin.tables.editors` has the domain's own command for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from domain.faults import Forbidden, NotFound
from domain.operators import Operator, Right


class Verb(StrEnum):
    """Everything that piccolo-admin asks of a table. An export as CSV is LIST; bulk changes are many of CHANGE and DELETE."""

    LIST = "list"
    GET = "get"
    NEW = "new"
    SCHEMA = "schema"
    COUNT = "count"
    IDS = "ids"
    REFERENCES = "references"
    CREATE = "create"
    CHANGE = "change"
    REPLACE = "replace"
    DELETE = "delete"
    DELETE_MANY = "delete_many"


WRITES = frozenset({Verb.CREATE, Verb.CHANGE, Verb.REPLACE, Verb.DELETE, Verb.DELETE_MANY})


@dataclass(frozen=True, slots=True)
class Access:
    """What each verb needs; None: nobody may. `instead` says how it is done where rows are not written by hand."""

    look: Right
    instead: str
    create: Right | None = None
    change: Right | None = None
    delete: Right | None = None

    def right(self, verb: Verb) -> Right | None:
        """The right that the verb needs; None: nobody has one."""
        if verb not in WRITES:
            return self.look
        by_verb = {Verb.CREATE: self.create, Verb.CHANGE: self.change, Verb.DELETE: self.delete}
        return by_verb.get(verb)


_APPEND_ONLY = "It is a record of what happened, so nobody changes it."
_LEDGER = "Credits move by the actions grant, adjust and refund, which write the ledger as well."
_SIGN_INS = "It belongs to a person's sign-in: they change it in the portal, an operator ends sessions by an action."
_ORGANIZATION = "The actions under /actions create, suspend and restore organizations and change their members."
_MESSAGES = "Programs of ours write it; the actions under /actions send a message again."
_PLAN = "Plans come with their limits: `paid-endpoint plans create` or `paid-endpoint apply`. Make a plan inactive to end it."
_SERVICE = "Logs and bills name it for ever: switch `enabled` off instead of deleting it."
_CHAIN = "It is the chain that proves the audit: `paid-endpoint audit verify` reads it, and the sealer alone writes it."
_OURS = "Programs of ours write it."

_LOOK, _MONEY, _PEOPLE, _EDIT = Right.LOOK, Right.LOOK_MONEY, Right.LOOK_SIGN_INS, Right.EDIT_TABLES

PERMISSIONS: Mapping[str, Access] = {
    "organization": Access(_LOOK, _ORGANIZATION, change=_EDIT),
    "users": Access(_LOOK, "Actions under /actions make users and operators.", change=Right.OPERATORS),
    "membership": Access(_LOOK, _ORGANIZATION),
    "invitation": Access(_PEOPLE, _SIGN_INS),
    "user_preference": Access(_LOOK, "Everybody chooses for themselves in the portal."),
    "plan": Access(_LOOK, _PLAN, change=_EDIT),
    "plan_limit": Access(_LOOK, _PLAN, create=_EDIT, change=_EDIT, delete=_EDIT),
    "plan_price": Access(_LOOK, _PLAN, create=_EDIT, change=_EDIT, delete=_EDIT),
    "plan_version": Access(_LOOK, f"{_APPEND_ONLY} An edit of a plan writes the next one."),
    "subscription": Access(_LOOK, "The actions under /actions change or extend subscriptions and trials."),
    "trial_claim": Access(_LOOK, _APPEND_ONLY),
    "limit_override": Access(_LOOK, "The action that overrides a limit checks it against the plan and asks why."),
    "service": Access(_LOOK, _SERVICE, create=_EDIT, change=_EDIT),
    "operation": Access(_LOOK, _SERVICE, create=_EDIT, change=_EDIT),
    "api_key": Access(_LOOK, "The actions under /actions mint and revoke keys; customers name and rotate theirs."),
    "request_log": Access(_LOOK, _APPEND_ONLY),
    "idempotent_request": Access(_LOOK, _OURS),
    "async_job": Access(_LOOK, _OURS),
    "credit_account": Access(_MONEY, _LEDGER),
    "credit_entry": Access(_MONEY, f"{_APPEND_ONLY} {_LEDGER}"),
    "credit_grant": Access(_MONEY, _LEDGER),
    "credit_holder": Access(_MONEY, _OURS),
    "credit_lease": Access(_MONEY, _OURS),
    "credit_reservation": Access(_MONEY, _OURS),
    "bonus_claim": Access(_MONEY, _APPEND_ONLY),
    "portal_session": Access(_PEOPLE, _SIGN_INS),
    "user_link": Access(_PEOPLE, _SIGN_INS),
    "totp_factor": Access(_PEOPLE, _SIGN_INS),
    "recovery_code": Access(_PEOPLE, _SIGN_INS),
    "outside_identity": Access(_PEOPLE, _SIGN_INS),
    "access_token": Access(_PEOPLE, _SIGN_INS),
    "outbox_message": Access(_LOOK, _MESSAGES),
    "webhook_endpoint": Access(_LOOK, "It is the customer's; to stop it, write to them or suspend the organization."),
    "webhook_event": Access(_LOOK, _APPEND_ONLY),
    "webhook_delivery": Access(_LOOK, _MESSAGES),
    "api_reply": Access(_PEOPLE, _OURS),
    "notice": Access(_LOOK, _OURS),
    "alert_state": Access(_LOOK, _OURS),
    "alert_choice": Access(_LOOK, "It is the customer's own choice, on the portal's page of alerts."),
    "log_day": Access(_LOOK, _OURS),
    "job": Access(_LOOK, "The jobs are those of this version; run one at /jobs."),
    "job_run": Access(_LOOK, "The page /jobs runs jobs, and retries what failed."),
    "audit_link": Access(Right.LOOK_AUDIT, _CHAIN),
    "audit_seal": Access(Right.LOOK_AUDIT, _CHAIN),
    "audit_unsealed": Access(Right.LOOK_AUDIT, _CHAIN),
    "audit_entry": Access(Right.LOOK_AUDIT, _APPEND_ONLY),
    "legacy_row": Access(_LOOK, f"{_APPEND_ONLY} `paid-endpoint import-legacy` writes it."),
    "applied_config": Access(_LOOK, f"{_APPEND_ONLY} `paid-endpoint apply` writes it."),
}
"""Every table of the schema; a test names one that is missing."""


def may_look(operator: Operator, table: str) -> bool:
    """Whether the operator may see the table's rows."""
    access = PERMISSIONS.get(table)
    return access is not None and operator.may(access.look)


def require_verb(operator: Operator, table: str, verb: Verb) -> None:
    """Raise NotFound for a table that is none; Forbidden, which says why, or what to do instead."""
    access = PERMISSIONS.get(table)
    if access is None:
        raise NotFound("There is no such table.")
    operator.require(access.look)
    right = access.right(verb)
    if right is None:
        raise Forbidden(f"Nobody may {verb.value.replace('_', ' ')} rows of {table} here. {access.instead}")
    operator.require(right)
