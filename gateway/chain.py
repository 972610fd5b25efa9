"""The order in which a request is decided. A test pins it: reordering is a reviewed act.

A policy is a function of the exchange. It raises a `Refusal`, or returns None once it has decided, or an awaitable
where it must wait (a cold key, Redis); on a warm worker nothing should.
"""

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from gateway.policies.admit_recordable import admit_recordable
from gateway.policies.authenticate import authenticate
from gateway.policies.charge_credits import charge_credits
from gateway.policies.check_access import check_access
from gateway.policies.confine_key import confine_key
from gateway.policies.limit_rate import limit_rate
from gateway.policies.match_route import match_route
from gateway.policies.replay_outcome import replay_outcome
from gateway.services import Policy

if TYPE_CHECKING:
    from gateway.exchange import Exchange

FIRST: Policy = admit_recordable
"""Before anything else, whatever is remembered of the head: what is decided below leaves a record."""

FREE: tuple[Policy, ...] = (
    match_route,  # costs nothing, and an unknown path should not make us look for a key
    authenticate,  # everything below needs to know who calls
    confine_key,  # a key that stands elsewhere too must not travel; needs to know the key
    check_access,  # free checks first: nothing has been counted yet
)
"""Change nothing, and hang on nothing but the head, the peer and the catalog, each on the part of the head that
`gateway.admissions` says: it relies on it."""

COUNTED: tuple[Policy, ...] = (
    limit_rate,  # counts; free before what costs
    replay_outcome,  # may ask the database, so behind the limits; a repeat must not be charged
    charge_credits,  # last thing that may refuse: what it holds is given back by nothing but the request's end
)

POLICIES = (FIRST, *FREE, *COUNTED)


def decide(exchange: "Exchange", free: tuple[Policy, ...], counted: tuple[Policy, ...]) -> Awaitable[None] | None:
    """Run both; what the free ones decided without waiting may be remembered."""
    pending = admit(exchange, free)
    if pending is not None:
        return _go_on(exchange, pending, counted)
    if exchange.answered:
        return None
    mark = exchange.request.mark
    if mark is not None:
        exchange.services.admissions.remember(mark, exchange)
    return admit(exchange, counted)


def admit(exchange: "Exchange", policies: tuple[Policy, ...]) -> Awaitable[None] | None:
    """Run the policies until one refuses, answers, or must wait; the rest then follows in the awaitable."""
    for position, policy in enumerate(policies):
        pending = policy(exchange)
        if exchange.answered:
            return None
        if pending is not None:
            return _go_on(exchange, pending, policies[position + 1 :])
    return None


async def _go_on(exchange: "Exchange", pending: Awaitable[None], rest: tuple[Policy, ...]) -> None:
    await pending
    if rest and not exchange.finished:
        later = admit(exchange, rest)
        if later is not None:
            await later
