"""Who makes a request, whether they may, and on which connection it works: the same for pages, actions and tables."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from enum import StrEnum

from admin.web.failures import FactorNeeded
from admin.web.visit import Visit
from domain import audit
from domain.identity.operator_sessions import find_operator_session
from domain.operators import Right


class Audience(StrEnum):
    """For whom a route is."""

    ANYONE = "anyone"
    SIGNED_IN = "signed_in"
    """Any operator, also one who has yet to set up a second factor."""
    OPERATOR = "operator"


class Unaudited(RuntimeError):  # noqa: N818  the house calls faults so
    """A change that nobody wrote down: a fault of ours, and the change is undone."""


@asynccontextmanager
async def working(visit: Visit, *, changes: bool) -> AsyncIterator[None]:
    """A connection for the visit, in one transaction: read-only, or, where something may change, undone by any fault.

    An operator who asks for much at once waits for their turn, so that connections stay for others.
    """
    turns, shown = visit.services.turns, visit.session_token
    if visit.signed_in is not None:
        turns.remember(shown, visit.signed_in.operator.id)
    async with (
        turns.turn(shown),
        visit.services.database.acquire() as connection,
        connection.transaction(readonly=not changes, isolation=None if changes else "repeatable_read"),
    ):
        visit.connection = connection
        yield


@asynccontextmanager
async def accounted(visit: Visit) -> AsyncIterator[None]:
    """A block that changes something for an operator. Raises Unaudited at its end if no audit entry was written in it."""
    with audit.collecting() as verbs:
        yield
    if not verbs:
        raise Unaudited(f"{visit.request.method} {visit.request.url.path} changed something without an audit entry")


async def recognise(visit: Visit) -> None:
    """Find the operator of the cookie. Nobody is no fault. Notes that the session was seen, outside of what the visit does."""
    token = visit.session_token
    if not token:
        return
    async with visit.services.database.acquire() as connection:
        visit.signed_in = await find_operator_session(
            connection,
            token,
            idle=timedelta(minutes=visit.settings.admin.session_idle_minutes),
            address=visit.address,
            user_agent=visit.user_agent,
        )


def require(visit: Visit, audience: Audience, right: Right | None) -> None:
    """Raise NotSignedIn, FactorNeeded or Forbidden unless the visit may use the route."""
    if audience is Audience.ANYONE:
        return
    here = visit.here
    if audience is Audience.OPERATOR and visit.settings.admin.factor_required and not here.has_factor:
        raise FactorNeeded("Set up a second factor first: without one nothing else is open to you.")
    if right is not None:
        here.operator.require(right)
