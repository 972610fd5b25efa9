"""Who may give which role, and what each role means in words."""

from dataclasses import dataclass

from domain.access import ROLES, Permission
from domain.faults import Forbidden, InvalidValue

WORDS: dict[Permission, str] = {
    Permission.VIEW: "see usage, request logs, jobs, keys, services, members and webhooks",
    Permission.BILLING_VIEW: "see credits and the subscription",
    Permission.BUILD: "make, change and revoke API keys and webhooks",
    Permission.BUY: "change the subscription, the spend caps and the thresholds of alerts",
    Permission.AUDIT_VIEW: "read the audit: who did what",
    Permission.MANAGE: "invite and remove people, change roles, rename the organization",
    Permission.OWN: "hand the organization to somebody else, close it",
}
INVITED = tuple(role for role in ROLES if role != "owner")
"""What an invitation can offer."""


@dataclass(frozen=True, slots=True)
class RoleInWords:
    """One role and all that it may do, most harmless first."""

    role: str
    may: tuple[str, ...]


def roles_in_words() -> tuple[RoleInWords, ...]:
    """Every role, the mightiest first."""
    return tuple(
        RoleInWords(role, tuple(words for permission, words in WORDS.items() if permission in permissions))
        for role, permissions in ROLES.items()
    )


def givable(own: str) -> tuple[str, ...]:
    """The roles that somebody with the role `own` may give: none above it, and none at all without MANAGE."""
    if Permission.MANAGE not in ROLES[own]:
        return ()
    return tuple(role for role, permissions in ROLES.items() if permissions <= ROLES[own])


def require_givable(own: str, role: str) -> None:
    """Raise InvalidValue for what is no role, Forbidden for one above one's own."""
    if role not in ROLES:
        raise InvalidValue(f"A role is one of {', '.join(ROLES)}.")
    if role not in givable(own):
        raise Forbidden(f"Your role here is {own}: you cannot give the role {role}, nor take it from somebody.")
