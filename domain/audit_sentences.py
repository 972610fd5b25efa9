"""What each verb of the audit says in words: `{object}` stands for the thing's name, and is always last."""

from collections.abc import Mapping

from domain.audit import Verb

SENTENCES: Mapping[str, str] = {
    Verb.ACCOUNT_SIGN_UP: "signed up",
    Verb.ACCOUNT_SIGN_IN: "signed in",
    Verb.ACCOUNT_SIGN_IN_FAILED: "could not sign in",
    Verb.ACCOUNT_SIGN_OUT: "signed out",
    Verb.ACCOUNT_VERIFY_EMAIL: "proved the e-mail address {object}",
    Verb.ACCOUNT_CHANGE_EMAIL: "changed their e-mail address",
    Verb.ACCOUNT_CHANGE_PASSWORD: "changed their password",
    Verb.ACCOUNT_RESET_PASSWORD: "reset their password",
    Verb.ACCOUNT_ENABLE_FACTOR: "turned on the second factor",
    Verb.ACCOUNT_DISABLE_FACTOR: "turned off the second factor",
    Verb.ACCOUNT_USE_RECOVERY_CODE: "signed in with a recovery code",
    Verb.ACCOUNT_RENEW_RECOVERY_CODES: "made new recovery codes",
    Verb.ACCOUNT_CONNECT: "connected the sign-in {object}",
    Verb.ACCOUNT_DISCONNECT: "disconnected the sign-in {object}",
    Verb.ACCOUNT_END_SESSION: "ended the session {object}",
    Verb.ACCOUNT_CHANGE_SETTINGS: "changed their settings",
    Verb.ACCOUNT_CHANGE_NAME: "changed their name",
    Verb.ACCOUNT_RENEW_PROOF: "proved again who they are",
    Verb.ACCOUNT_ERASE: "was erased, as asked",
    Verb.ACCOUNT_DELETE: "asked to delete their account",
    Verb.ACCOUNT_KEEP: "kept their account after all",
    Verb.ACCOUNT_CREATE: "made the account {object}",
    Verb.ACCOUNT_SEND_LINK: "mailed a new link to {object}",
    Verb.ACCOUNT_RESET_FACTOR: "took the second factor away from {object}",
    Verb.ACCOUNT_END_ALL_SESSIONS: "ended all sessions of {object}",
    Verb.TOKEN_CREATE: "created the access token {object}",
    Verb.TOKEN_REVOKE: "revoked the access token {object}",
    Verb.ORGANIZATION_CREATE: "created the organization {object}",
    Verb.ORGANIZATION_CHANGE: "changed the organization {object}",
    Verb.ORGANIZATION_CLOSE: "closed the organization {object}",
    Verb.ORGANIZATION_SUSPEND: "suspended the organization {object}",
    Verb.ORGANIZATION_RESTORE: "restored the organization {object}",
    Verb.ORGANIZATION_TRANSFER: "handed the organization over to {object}",
    Verb.MEMBER_INVITE: "invited {object}",
    Verb.MEMBER_WITHDRAW: "withdrew the invitation of {object}",
    Verb.MEMBER_JOIN: "joined the organization",
    Verb.MEMBER_CHANGE_ROLE: "changed the role of {object}",
    Verb.MEMBER_REMOVE: "removed {object}",
    Verb.KEY_CREATE: "created the API key {object}",
    Verb.KEY_CHANGE: "changed the API key {object}",
    Verb.KEY_ROTATE: "rotated the API key {object}",
    Verb.KEY_REVOKE: "revoked the API key {object}",
    Verb.SUBSCRIPTION_CHANGE: "changed the subscription to {object}",
    Verb.SUBSCRIPTION_CANCEL: "cancelled the subscription {object}",
    Verb.SUBSCRIPTION_RESUME: "resumed the subscription {object}",
    Verb.SUBSCRIPTION_EXTEND: "extended the subscription {object}",
    Verb.LIMIT_OVERRIDE: "changed, for this organization, the limit {object}",
    Verb.LIMIT_END_OVERRIDE: "put back to what the plan says the limit {object}",
    Verb.CREDITS_GRANT: "gave credits to {object}",
    Verb.CREDITS_ADJUST: "corrected the credits of {object}",
    Verb.CREDITS_REFUND: "gave back the charge of the request {object}",
    Verb.CREDITS_BOOK_PAYMENT: "booked the payment {object}",
    Verb.SPEND_CAP_CHANGE: "changed the spend cap of {object}",
    Verb.LOGS_EXPORT: "exported request logs",
    Verb.WEBHOOK_CREATE: "created the webhook endpoint {object}",
    Verb.WEBHOOK_CHANGE: "changed the webhook endpoint {object}",
    Verb.WEBHOOK_ROTATE_SECRET: "rotated the secret of the webhook endpoint {object}",
    Verb.WEBHOOK_DELETE: "deleted the webhook endpoint {object}",
    Verb.WEBHOOK_REPLAY: "sent an event again: {object}",
    Verb.WEBHOOK_TEST: "sent a test event to {object}",
    Verb.CONFIG_APPLY: "applied a file that changed {object}",
    Verb.CONFIG_ROLLBACK: "went back to an applied file, which changed {object}",
    Verb.TABLE_CREATE: "added a row by hand: {object}",
    Verb.TABLE_CHANGE: "changed a row by hand: {object}",
    Verb.TABLE_DELETE: "deleted a row by hand: {object}",
    Verb.PLAN_ARCHIVE: "archived the plan {object}",
    Verb.PLAN_REOPEN: "reopened the plan {object}",
    Verb.PLAN_RESTORE: "put back earlier terms of the plan {object}",
    Verb.PLAN_SHADOW_LIMIT: "put in shadow the limit {object}",
    Verb.PLAN_ENFORCE_LIMIT: "enforced the limit {object}",
    Verb.SERVICE_ENABLE: "switched on the service {object}",
    Verb.SERVICE_DISABLE: "switched off the service {object}",
    Verb.OPERATION_ENABLE: "switched on the operation {object}",
    Verb.OPERATION_DISABLE: "switched off the operation {object}",
    Verb.MAIL_TEST: "sent a test mail to {object}",
    Verb.JOB_RUN: "asked for the job {object}",
    Verb.JOB_RETRY: "asked to try again the job {object}",
}
_OBJECT = "{object}"

GROUPS: Mapping[str, str] = {
    "account": "Accounts",
    "token": "Access tokens",
    "organization": "Organization",
    "member": "Team",
    "key": "API keys",
    "subscription": "Subscription",
    "spend_cap": "Spend caps",
    "limit": "Limits",
    "credits": "Credits",
    "logs": "Request logs",
    "webhook": "Webhooks",
    "config": "Configuration",
    "table": "Tables",
    "job": "Jobs",
}
"""What verbs begin with, and what people call it."""
OPERATORS_ONLY = frozenset({"config", "table", "job"})
    "plan": "Plans",
    "service": "Services",
    "operation": "Operations",
    "mail": "Mails",
    "job": "Jobs",
}
"""What verbs begin with, and what people call it."""
OPERATORS_ONLY = frozenset({"config", "plan", "service", "operation", "mail", "job"})
"""Groups of which no organization ever has an entry."""


def phrase_of(verb: str) -> tuple[str, bool]:
    """What was done, without the thing, and whether the thing is named behind it. An unknown verb stands for itself."""
    sentence = SENTENCES.get(verb, f"{verb} {_OBJECT}")
    return sentence.removesuffix(_OBJECT).strip(), sentence.endswith(_OBJECT)
