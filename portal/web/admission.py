"""Who makes a request, and whether they may: the same for pages and for the API."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from enum import StrEnum
from typing import Any

from domain.access import Permission, organizations_of
from domain.faults import NotFound
from domain.identity.acting import acting_access
from domain.identity.sessions import find_session
from portal.web.acting import require_open
from portal.web.forgery import SAFE_METHODS
from portal.web.visit import Visit


class Audience(StrEnum):
    """For whom a route is."""

    ANYONE = "anyone"
    SIGNED_IN = "signed_in"
    MEMBER = "member"
    """A member of the organization that the request names."""


@asynccontextmanager
async def working(visit: Visit) -> AsyncIterator[None]:
    """A connection for the visit; in one transaction if the method may change something, undone by any fault.

    Who works much at once waits for their turn, so that connections stay for others.
    """
    turns, shown = visit.services.turns, _shown(visit)
    async with turns.turn(shown), visit.services.database.acquire() as connection:
        visit.connection = connection
        try:
            if visit.request.method in SAFE_METHODS:
                yield
            else:
                async with connection.transaction():
                    yield
        finally:
            if visit.session is not None:
                turns.remember(shown, visit.session.user_id)


def _shown(visit: Visit) -> str:
    """What says who they are. Pages know no access tokens: there a header with one is nobody's, and could be any text."""
    token = visit.request.headers.get("authorization") if visit.request.url.path.startswith("/api/") else None
    return token or visit.session_token


async def recognise(visit: Visit) -> None:
    """Find the session of the cookie and the organizations of its user. Nobody is no fault."""
    token = visit.session_token
    if not token:
        return
    session = await find_session(
        visit.connection,
        token,
        idle=timedelta(hours=visit.settings.portal.session_idle_hours),
        address=visit.address,
        user_agent=visit.user_agent,
    )
    if session is not None and not session.awaits_factor:
        visit.session = session
        acting = acting_access(session)
        visit.accesses = (acting,) if acting else tuple(await organizations_of(visit.connection, session.user_id))


def enter(visit: Visit, organization: str) -> None:
    """Make the organization with this slug the one of the visit. Raises NotSignedIn, NotFound."""
    visit.person  # noqa: B018  signed in at all?
    visit.here = next((access for access in visit.accesses if access.slug == organization), None)
    if visit.here is None:
        raise NotFound("There is no such organization.")


def require(visit: Visit, audience: Audience, permission: Permission | None, *, acting: bool) -> None:
    """Raise NotSignedIn or Forbidden unless the visit may use the route.

    To who acts as a customer the organization's own routes are open, and beside them those that say so by `acting`.
    """
    require_open(visit, open_to_acting=acting or audience is Audience.MEMBER, leaves=acting)
    if audience is not Audience.ANYONE:
        visit.person  # noqa: B018
    if permission is not None:
        visit.access.require(permission)


def path_values(visit: Visit) -> dict[str, Any]:
    """What the path's parameters are, without the organization's slug."""
    return {name: value for name, value in visit.request.path_params.items() if name != "organization"}
