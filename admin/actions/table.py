"""Every action of the back office."""

from admin.actions import (
    balances,
    founding,
    minting,
    people,
    revoking,
    suspending,
)
from admin.actions.action import Action

ACTIONS: tuple[Action, ...] = (
    *balances.ACTIONS,
    *founding.ACTIONS,
    *minting.ACTIONS,
    *people.ACTIONS,
    *revoking.ACTIONS,
    *suspending.ACTIONS,
)

BY_SLUG = {action.slug: action for action in ACTIONS}
GROUPS = ("Customers", "Keys", "Credits", "Subscriptions and limits", "Services and plans", "Running it")
"""Headings of the list, in their order."""
