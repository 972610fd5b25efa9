"""The accounts elsewhere that sign a person in."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from starlette.responses import Response

from domain.faults import Fault
from domain.identity.connections import Connection, disconnect, list_connections
from domain.identity.providers import offered
from portal.pages.account import AccountPage
from portal.web.admission import Audience
from portal.web.layout import Page
from portal.web.own import fresh, own_session, to_proof
from portal.web.page import PageRoute, see_other
from portal.web.telling import told
from portal.web.visit import Visit

PATH = "/account/connections"


@dataclass(frozen=True, kw_only=True)
class ConnectionsPage(AccountPage):
    """Each with the provider's name, or its address if it is not offered any more."""

    template: ClassVar[str] = "account_connections.html"
    tab: ClassVar[str] = PATH
    connections: list[tuple[str, Connection]]
    fresh: bool
    offered: bool


async def show(visit: Visit) -> Page:
    """All of them."""
    return await _page(visit)


async def remove(visit: Visit, connection_id: UUID) -> Page | Response:
    """Disconnect one."""
    if not fresh(visit):
        return to_proof(PATH)
    try:
        async with visit.change():
            await disconnect(visit.connection, visit.settings, own_session(visit), visit.actor, connection_id)
    except Fault as fault:
        return told(visit, await _page(visit), fault)
    return see_other(PATH, done="disconnected")


async def _page(visit: Visit) -> ConnectionsPage:
    providers = offered(visit.settings.sign_in)
    labels = {provider.issuer: provider.label for provider in providers}
    connections = await list_connections(visit.connection, own_session(visit).user_id)
    return ConnectionsPage(
        connections=[(labels.get(one.issuer, one.issuer), one) for one in connections],
        fresh=fresh(visit),
        offered=bool(providers),
    )


PAGES = (
    PageRoute(PATH, show, audience=Audience.SIGNED_IN),
    PageRoute("/account/connections/{connection_id:uuid}/remove", remove, "POST", audience=Audience.SIGNED_IN),
)
