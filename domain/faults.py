"""What goes wrong when the business is changed: told to operators and customers, never to callers of the gateway.

Callers of the gateway get a `domain.refusals.Refusal` instead.
"""


def in_one_line(fault: BaseException) -> str:
    """What a fault is and says, for logs and /ready: its kind, and the first line of its text if it has any."""
    said = str(fault).strip().partition("\n")[0]
    return f"{type(fault).__name__}: {said}" if said else type(fault).__name__


class Fault(Exception):  # noqa: N818  the domain calls it so
    """A change that cannot be made. `code` is for programs, the text is one sentence for people."""

    code = "fault"


class NotFound(Fault):
    """The row that a change names does not exist, or belongs to somebody else."""

    code = "not_found"


class Conflict(Fault):
    """The change is well-formed, but the present state forbids it: a duplicate, a revoked key."""

    code = "conflict"


class ChangedMeanwhile(Fault):
    """The change was made for a version that is not the present one."""

    code = "changed_meanwhile"


class VersionNeeded(Fault):
    """The change does not say which version it was made for."""

    code = "version_needed"


class InvalidValue(Fault):
    """A value that can never be right, whatever the state."""

    code = "invalid_value"


class Forbidden(Fault):
    """The actor is known, and may not do this."""

    code = "forbidden"


class NotSignedIn(Fault):
    """Nobody is signed in, or no longer."""

    code = "not_signed_in"


class ProofNeeded(Fault):
    """The actor is signed in, but must prove again who they are before a change as grave as this."""

    code = "proof_needed"


class TooManyTries(Fault):
    """The same was tried too often; `retry_after_seconds` says when again."""

    code = "too_many_tries"

    def __init__(self, text: str, *, retry_after_seconds: int) -> None:
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(Fault):
    """What this needs cannot be reached just now."""

    code = "unavailable"


class DatabaseUnreachable(Fault):
    """PostgreSQL does not answer, or refuses us."""

    code = "database_unreachable"


class SchemaMismatch(Fault):
    """The database's schema is of a newer version than this code."""

    code = "schema_mismatch"


class MigrationFailed(Fault):
    """A migration broke; the database is as it was before."""

    code = "migration_failed"
