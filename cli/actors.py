"""Who acts where a command does: in the audit, and in the ledger."""

import getpass

from domain.audit import BY_COMMAND, Actor


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


OPERATOR = Actor(name=f"{BY_COMMAND}{_user()}")
IN_LEDGER = f"cli:{_user()}"
"""As entries of the ledger have named commands from the beginning."""
