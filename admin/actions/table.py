"""Every action of the back office."""

from admin.actions import (
    acting,
    appointing,
    async_jobs,
    balances,
    erasing,
    founding,
    job_running,
    limiting,
    mailing,
    minting,
    people,
    replaying,
    revoking,
    shadowing,
    snoozing,
    subscribing,
    suspending,
    switching,
    undoing,
)
from admin.actions.action import Action

ACTIONS: tuple[Action, ...] = (
    *acting.ACTIONS,
    *founding.ACTIONS,
    *suspending.ACTIONS,
    *people.ACTIONS,
    *erasing.ACTIONS,
    *minting.ACTIONS,
    *revoking.ACTIONS,
    *balances.ACTIONS,
    *subscribing.ACTIONS,
    *limiting.ACTIONS,
    *shadowing.ACTIONS,
    *async_jobs.ACTIONS,
    *switching.ACTIONS,
    *undoing.ACTIONS,
    *replaying.ACTIONS,
    *mailing.ACTIONS,
    *job_running.ACTIONS,
    *snoozing.ACTIONS,
    *appointing.ACTIONS,
)

BY_SLUG = {action.slug: action for action in ACTIONS}
GROUPS = ("Customers", "Keys", "Credits", "Subscriptions and limits", "Services and plans", "Running it")
"""Headings of the list, in their order."""
