"""Signing in with an account elsewhere, connecting one, and proving again with one: away, and back with an answer."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from starlette.responses import RedirectResponse, Response

from domain.faults import Fault, NotFound, NotSignedIn
from domain.identity import flows
from domain.identity.connections import connect, known_user, sign_up_elsewhere
from domain.identity.elsewhere import OutsideAccount, Refused, account_of, authorization_url
from domain.identity.factors import has_factor
from domain.identity.flows import Flow, new_flow, packed, unpacked
from domain.identity.proof import WrongProof, renew
from domain.identity.providers import NAMES, Provider, provider_named
from portal.web.admission import Audience
from portal.web.cookies import FLOW, clear_cookie, read_cookie, set_cookie
from portal.web.doors import changing
from portal.web.failures import status_of
from portal.web.layout import Page
from portal.web.own import give_session, own_session
from portal.web.page import PageRoute, finish, see_other
from portal.web.signing_in import complete_sign_in, safe_next
from portal.web.visit import Visit

CONNECTIONS = "/account/connections"
LONGEST_NEXT = 1_000


@dataclass(frozen=True, kw_only=True)
class AwayPage(Page):
    """On the way. A form may only lead to us (CSP), so this page leads on."""

    template: ClassVar[str] = "elsewhere_away.html"
    url: str
    label: str


@dataclass(frozen=True, kw_only=True)
class FailedPage(Page):
    """Nothing came of it, and what to do."""

    template: ClassVar[str] = "elsewhere_failed.html"
    detail: str
    back: str


async def go(visit: Visit, provider: str) -> Response:
    """GET: to the provider, to sign in."""
    place = _provider(visit, provider)
    flow = new_flow(place.name, flows.SIGN_IN, 0, _next(visit.request.query_params.get("next")))
    try:
        url = await authorization_url(place, flow, _callback(visit, place))
    except Fault as fault:
        return _failed(visit, place, fault, "/sign-in")
    return _with_flow(visit, RedirectResponse(url, status_code=303), flow)


async def go_by_form(visit: Visit, provider: str) -> Response:
    """POST: the same, or to connect the account there, or to prove who one is. A link could be planted; a form not."""
    place, intent = _provider(visit, provider), str(visit.form.get("intent", flows.SIGN_IN))
    if intent not in flows.INTENTS:
        raise NotFound("There is no such way to sign in.")
    user_id = 0 if intent == flows.SIGN_IN else own_session(visit).user_id
    flow = new_flow(place.name, intent, user_id, _next(visit.form.get("next")))
    try:
        url = await authorization_url(place, flow, _callback(visit, place))
    except Fault as fault:
        return _failed(visit, place, fault, _home(flow))
    page = AwayPage(title=f"On to {place.label}", url=url, label=place.label)
    return _with_flow(visit, finish(visit, page), flow)


async def come_back(visit: Visit, provider: str) -> Response:
    """The provider's answer."""
    place, query = _provider(visit, provider), visit.request.query_params
    flow = unpacked(visit.settings.secrets, read_cookie(visit.request, visit.settings.portal, FLOW), place.name)
    try:
        if flow is None or not flow.is_of(query.get("state", "")):
            raise Refused("This took longer than ten minutes, or began in another browser. Begin again.")
        if "error" in query:
            raise Refused(_denial(place, query["error"]))
        account = await account_of(place, flow, query.get("code", "")[:2_000], _callback(visit, place))
        async with changing(visit):
            response = await _arrive(visit, place, flow, account)
    except Fault as fault:
        response = _failed(visit, place, fault, _home(flow) if flow else "/sign-in")
    clear_cookie(response, visit.settings.portal, FLOW)
    return response


async def _arrive(visit: Visit, place: Provider, flow: Flow, account: OutsideAccount) -> Response:
    if flow.intent == flows.SIGN_IN:
        user_id = await known_user(visit.connection, account)
        if user_id is None:
            # Nobody acts yet: the session that this browser may have is not who signs up.
            actor = replace(visit.actor, id=None, name="")
            user_id = await sign_up_elsewhere(visit.connection, visit.settings, account, actor)
        return await complete_sign_in(visit, user_id, next_path=flow.next, how=place.name)
    session = own_session(visit)
    if session.user_id != flow.user_id:
        raise NotSignedIn("Somebody else is signed in by now. Begin again.")
    if flow.intent == flows.CONNECT:
        await connect(visit.connection, visit.settings, session, visit.actor, account)
        return see_other(CONNECTIONS, done="connected")
    if await known_user(visit.connection, account) != session.user_id:
        raise WrongProof("That account is not connected to yours, so it proves nothing.")
    if await has_factor(visit.connection, session.user_id):
        raise WrongProof(
            "Your account has an authenticator: its code proves that it is you, and the other account does not."
        )
    token = await renew(visit.connection, session.id, visit.actor)
    response = see_other(safe_next(flow.next))
    give_session(visit, response, token.text)
    return response


def _provider(visit: Visit, name: str) -> Provider:
    place = provider_named(visit.settings.sign_in, name)
    if place is None:
        raise NotFound("There is no such way to sign in.")
    return place


def _callback(visit: Visit, place: Provider) -> str:
    return f"{visit.settings.portal.base_url}/sign-in/{place.name}/callback"


def _next(given: object) -> str:
    path = safe_next(given)
    return path if len(path) <= LONGEST_NEXT else safe_next(None)


def _home(flow: Flow) -> str:
    return {flows.CONNECT: CONNECTIONS, flows.PROVE: "/prove"}.get(flow.intent, "/sign-in")


def _denial(place: Provider, error: str) -> str:
    if error == "access_denied":
        return f"You did not agree at {place.label}, so nothing was done. Sign in another way, or begin again."
    return f"{place.label} could not do it now. Begin again; if it stays, write to us."


def _with_flow(visit: Visit, response: Response, flow: Flow) -> Response:
    cookie = packed(visit.settings.secrets, flow)
    set_cookie(response, visit.settings.portal, FLOW, cookie, seconds=flows.SECONDS)
    return response


def _failed(visit: Visit, place: Provider, fault: Fault, back: str) -> Response:
    page = FailedPage(
        title=f"Not signed in with {place.label}",
        detail=str(fault),
        back=back,
        status=status_of(fault),
    )
    return finish(visit, page)


_OPTIONS: dict[str, Any] = {"audience": Audience.ANYONE, "connected": False}
PAGES = tuple(
    # Each by its name: a parameter here would also catch the second step of a sign-in.
    PageRoute(f"/sign-in/{name}{end}", partial(handler, provider=name), method, **_OPTIONS)
    for name in NAMES
    for end, handler, method in (("", go, "GET"), ("", go_by_form, "POST"), ("/callback", come_back, "GET"))
)
