"""Operators: people who run the product in the back office, what their role is, and what each role may do there."""

from dataclasses import dataclass
from enum import StrEnum

from domain.faults import Forbidden


class Right(StrEnum):
    """What an operator may do. Every page, table and action of the back office asks for one of them."""

    LOOK = "look"
    """See customers, keys, plans, services, logs; no money and no people's sign-ins."""
    LOOK_MONEY = "look_money"
    """See ledgers, revenue, payments."""
    LOOK_SIGN_INS = "look_sign_ins"
    """See what people sign in with: sessions, links, factors, tokens; never a secret."""
    ANALYSE = "analyse"
    """Reports, what-if."""
    SUPPORT = "support"
    """Act for customers: organizations, users, keys, limits for a time, trials, mails, webhooks; act as one, read-only."""
    MONEY = "money"
    """Grant, adjust and refund credits; approve payments."""
    CATALOG = "catalog"
    """Change what is sold: plans, limits, services, operations, prices."""
    RUN = "run"
    """Run and retry jobs, snooze alerts, send test mails."""
    CHANGE_AS_CUSTOMER = "change_as_customer"
    """Act as a customer with the right to change things."""
    EDIT_TABLES = "edit_tables"
    """Change rows of those tables that may be changed by hand."""
    LOOK_AUDIT = "look_audit"
    """Read what everybody did."""
    RESET_FACTORS = "reset_factors"
    """Take a person's second factor away."""
    ERASE = "erase"
    """Erase a person for good."""
    OPERATORS = "operators"
    """Say who is an operator, and end their sessions."""


class OperatorRole(StrEnum):
    """The roles of DESIGN.md section 5."""

    SUPERUSER = "superuser"
    ADMIN = "admin"
    SUPPORT = "support"
    ANALYST = "analyst"
    FINANCE = "finance"


_LOOKS = frozenset({Right.LOOK, Right.ANALYSE})
OPERATOR_ROLES: dict[OperatorRole, frozenset[Right]] = {
    OperatorRole.SUPERUSER: frozenset(Right),
    OperatorRole.ADMIN: frozenset(Right) - {Right.OPERATORS},
    OperatorRole.SUPPORT: _LOOKS | {Right.LOOK_MONEY, Right.SUPPORT, Right.RUN},
    OperatorRole.ANALYST: _LOOKS | {Right.LOOK_MONEY},
    OperatorRole.FINANCE: _LOOKS | {Right.LOOK_MONEY, Right.MONEY, Right.LOOK_AUDIT},
}
"""Every role and all that it may do."""


RIGHTS_IN_WORDS: dict[Right, str] = {
    Right.LOOK: "see customers, keys, plans, services, requests, jobs",
    Right.ANALYSE: "reports, what if",
    Right.LOOK_SIGN_INS: "see what people sign in with: sessions, links, second factors; never a secret",
    Right.LOOK_MONEY: "see balances, ledgers, revenue",
    Right.SUPPORT: "act for customers: organizations, people, keys, subscriptions, limits; see the portal as they do",
    Right.MONEY: "grant, adjust and refund credits, approve payments",
    Right.RUN: "run and retry jobs, snooze alerts, send test mails",
    Right.LOOK_AUDIT: "read the audit",
    Right.CATALOG: "change what is sold: services, plans, limits",
    Right.EDIT_TABLES: "edit rows in the tables",
    Right.CHANGE_AS_CUSTOMER: "change things while acting as a customer",
    Right.RESET_FACTORS: "take a lost second factor away",
    Right.ERASE: "erase a person for good",
    Right.OPERATORS: "say who is an operator",
}
"""What each right lets its holder do, as it goes on after `may`."""


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator who is signed in."""

    id: int
    email: str
    name: str
    role: OperatorRole

    def may(self, right: Right) -> bool:
        """Whether the operator's role has the right."""
        return right in OPERATOR_ROLES[self.role]

    def require(self, right: Right) -> None:
        """Raise Forbidden, which says which roles may, unless the operator may."""
        if not self.may(right):
            able = ", ".join(role.value for role, rights in OPERATOR_ROLES.items() if right in rights)
            raise Forbidden(f"Your role is {self.role.value}, which may not do this. These may: {able}.")
