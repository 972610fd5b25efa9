"""Every action of the back office."""

from admin.actions import (
    job_running,
    suspending,
)
from admin.actions.action import Action

ACTIONS: tuple[Action, ...] = (
    *job_running.ACTIONS,
    *suspending.ACTIONS,
)

BY_SLUG = {action.slug: action for action in ACTIONS}
GROUPS = ("Customers", "Keys", "Credits", "Subscriptions and limits", "Services and plans", "Running it")
"""Headings of the list, in their order."""
