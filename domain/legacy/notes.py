"""What can be said of an older row, in a closed list: programs count these, and docs/import-legacy.md explains them."""

from enum import StrEnum


class Outcome(StrEnum):
    """What became of a row."""

    IMPORTED = "imported"
    PRESENT = "already there"
    CHANGED = "changed since"
    MAPPED = "mapped"
    SKIPPED = "skipped"
    COUNTED = "not imported"


class Note(StrEnum):
    """Why a row was skipped, or what is special about one that was imported."""

    ID_UNUSABLE = "its id is missing or too long"
    ID_REPEATED = "its id stands in several rows"
    ID_TAKEN = "its id is taken here by something else"
    # of plans
    LIMITS_MISSING = "it has no limit at all"
    LIMIT_UNUSABLE = "a limit is zero, negative or no number"
    LIMIT_OPEN = "one of its limits is null: there is none"
    SLUG_CHANGED = "its slug was taken here"
    # of clients
    CLIENT_CLOSED = "it is closed or deleted"
    STATUS_SUSPENDED = "it is suspended here too"
    STATUS_UNKNOWN_CLIENT = "its status is unknown: it is suspended here"
    EMAIL_MISSING = "it has no e-mail: nobody owns it"
    EMAIL_INVALID = "its e-mail is none: nobody owns it"
    EMAIL_SHARED = "several clients have this e-mail: one user owns all"
    USER_PRESENT = "a user with this e-mail was here: they own it"
    USER_DISABLED = "the user with this e-mail is disabled here"
    NAME_MISSING = "its name is empty: one was made"
    NAME_CUT = "its name was cut to 120 characters"
    NAME_CLEANED = "control characters were taken out of its name"
    CREATED_UNKNOWN = "when it was created is unknown: now"
    TIME_WITHOUT_ZONE = "a time without a zone was taken as UTC"
    NO_KEYS = "it has no keys"
    BEGINS_ANEW = "no key gives it a plan: it begins like a new customer"
    NO_PLAN = "no key gives it a plan, and the plan of new customers is not here"
    SEVERAL_PLANS = "its keys had several plans: the highest is for all"
    LIMITS_RAISED = "a limit of its plan is raised to what another plan of its keys allowed"
    # of keys
    CLIENT_MISSING = "its client is missing"
    CLIENT_SKIPPED = "its client was skipped"
    ORGANIZATION_CLOSED = "its organization is closed here"
    PLAN_MISSING = "its plan is missing"
    PLAN_SKIPPED = "its plan was skipped"
    HASH_INVALID = "its hash is not 64 hexadecimal digits"
    HASH_REPEATED = "another key of the client has the same hash"
    HASH_SHARED = "keys of several clients have the same hash"
    HASH_PRESENT = "a key with this hash is here already"
    OWN_FORMAT = "it begins like the keys made here and would not be recognised"
    STATUS_UNKNOWN_KEY = "its status is unknown"
    EXPIRY_UNREADABLE = "when it expires cannot be read"
    EXPIRED = "it has expired"
    REVOKED = "it was revoked"
    PREFIX_CUT = "its prefix was cut to 20 characters"
    PREFIX_IS_KEY = "its prefix is the key itself and was left out"
    OTHER_PLAN = "it had another plan than its organization has now"
    # of tables
    RETENTION = "logs are kept for some days only"
    NO_SUMMARIES = "daily summaries here hold services, sizes and times, which these lack"
