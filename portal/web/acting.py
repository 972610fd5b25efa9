"""What holds for an operator who acts as a customer, on every route: what is open, what is refused, what is noted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from domain import audit
from domain.access import READ_ONLY
from domain.audit import Thing, Verb
from domain.faults import Forbidden
from portal.web.forgery import SAFE_METHODS
from portal.web.visit import Visit

_CLOSED = "While you act as {name}, only its own pages are open to you. Stop acting first."


def require_open(visit: Visit, *, open_to_acting: bool, leaves: bool) -> None:
    """Raise Forbidden unless the route is open to who acts as a customer. `leaves`: it changes nothing of the customer's."""
    acting = visit.session.acting if visit.session else None
    if acting is None:
        return
    if not open_to_acting:
        raise Forbidden(_CLOSED.format(name=acting.name))
    if not acting.may_change and not leaves and visit.request.method not in SAFE_METHODS:
        raise Forbidden(READ_ONLY)


@asynccontextmanager
async def noted(visit: Visit) -> AsyncIterator[None]:
    """A block in which an acting operator's change is noted, by what it does itself or else by its name."""
    if not _changes(visit):
        yield
        return
    with audit.collecting() as verbs:
        yield
    if not verbs:
        await note_request(visit)


async def note_request(visit: Visit) -> None:
    """Note that an acting operator asked for a change, where nothing else says so."""
    acting = visit.session.acting if visit.session else None
    if acting is None or not _changes(visit):
        return
    name = f"{visit.request.method} {visit.request.url.path}"
    thing = Thing("organization", str(acting.organization_id), name)
    await audit.record(
        visit.connection, visit.actor, Verb.OPERATOR_ACT_REQUEST, thing, organization_id=acting.organization_id
    )


def _changes(visit: Visit) -> bool:
    return visit.session is not None and visit.session.acting is not None and visit.request.method not in SAFE_METHODS
