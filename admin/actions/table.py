"""Every action of the back office."""

from admin.actions import (
    balances,
    founding,
    limiting,
    minting,
    people,
    revoking,
    shadowing,
    subscribing,
    suspending,
    switching,
    undoing,
)
from admin.actions.action import Action

ACTIONS: tuple[Action, ...] = (
    *balances.ACTIONS,
    *founding.ACTIONS,
    *limiting.ACTIONS,
    *minting.ACTIONS,
    *people.ACTIONS,
    *revoking.ACTIONS,
    *shadowing.ACTIONS,
    *subscribing.ACTIONS,
    *suspending.ACTIONS,
    *switching.ACTIONS,
    *undoing.ACTIONS,
)

BY_SLUG = {action.slug: action for action in ACTIONS}
GROUPS = ("Customers", "Keys", "Credits", "Subscriptions and limits", "Services and plans", "Running it")
"""Headings of the list, in their order."""
