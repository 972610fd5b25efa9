"""A person's access tokens, for programs that use the portal's API."""

from dataclasses import dataclass, replace
from typing import ClassVar
from uuid import UUID

from starlette.responses import Response

from domain.access import access_organization
from domain.faults import Fault, InvalidValue
from domain.identity.own_tokens import LIFETIMES, CreatedToken, OwnToken, create_token, list_tokens, revoke_token
from portal.pages.account import AccountPage
from portal.web.admission import Audience
from portal.web.layout import Page
from portal.web.own import fresh, own_session, to_proof
from portal.web.page import PageRoute, see_other
from portal.web.telling import told
from portal.web.visit import Visit

PATH = "/account/tokens"
ENDS = (*((str(days), f"In {days} days") for days in LIFETIMES), ("never", "Never"))


@dataclass(frozen=True, kw_only=True)
class TokensPage(AccountPage):
    """`made` is a token that was just created: its text is shown this once. The rest stands in the form."""

    template: ClassVar[str] = "account_tokens.html"
    tab: ClassVar[str] = PATH
    tokens: list[OwnToken]
    fresh: bool
    made: CreatedToken | None = None
    name: str = ""
    organization: str = ""
    scope: str = "read"
    lasts: str = "90"
    ends: tuple[tuple[str, str], ...] = ENDS
    scopes: tuple[tuple[str, str], ...] = (("read", "Only read"), ("write", "Read and change"))


async def show(visit: Visit) -> Page:
    """All that were not revoked, and the form."""
    return await _page(visit)


async def create(visit: Visit) -> Page | Response:
    """A new one, shown on this answer only."""
    if not fresh(visit):
        return to_proof(PATH)
    form = {name: str(visit.form.get(name, "")) for name in ("name", "organization", "scope", "lasts")}
    session = own_session(visit)
    try:
        async with visit.change():
            access = await access_organization(visit.connection, session.user_id, form["organization"])
            made = await create_token(
                visit.connection,
                visit.settings,
                session,
                visit.actor,
                access,
                name=form["name"],
                read_only=form["scope"] != "write",
                days=_days(form["lasts"]),
            )
    except Fault as fault:
        page = replace(await _page(visit), name=form["name"], organization=form["organization"])
        return told(visit, replace(page, scope=form["scope"], lasts=form["lasts"]), fault)
    return replace(await _page(visit), made=made)


async def revoke(visit: Visit, token_id: UUID) -> Response:
    """Let one be good no more."""
    await revoke_token(visit.connection, own_session(visit), visit.actor, token_id)
    return see_other(PATH, done="token_revoked")


def _days(text: str) -> int | None:
    if text == "never":
        return None
    if text not in {str(days) for days in LIFETIMES}:
        raise InvalidValue("Choose how long the token lasts.")
    return int(text)


async def _page(visit: Visit) -> TokensPage:
    return TokensPage(tokens=await list_tokens(visit.connection, own_session(visit).user_id), fresh=fresh(visit))


PAGES = (
    PageRoute(PATH, show, audience=Audience.SIGNED_IN),
    PageRoute(PATH, create, "POST", audience=Audience.SIGNED_IN),
    PageRoute("/account/tokens/{token_id:uuid}/revoke", revoke, "POST", audience=Audience.SIGNED_IN),
)
