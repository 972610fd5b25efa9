"""Asking a provider who somebody is. The answer is believed only as far as it was verified."""

from dataclasses import dataclass
from urllib.parse import urlencode

import httpx2

from domain.faults import Fault
from domain.identity import github, openid
from domain.identity.fetching import TIMEOUT, Unanswered
from domain.identity.flows import PROVE, Flow
from domain.identity.providers import GITHUB, Provider

__all__ = ["OutsideAccount", "Refused", "Unanswered", "account_of", "authorization_url"]


class Refused(Fault):
    """The provider, or what it said, does not sign anybody in. The text says what to do."""

    code = "elsewhere_refused"


@dataclass(frozen=True, slots=True)
class OutsideAccount:
    """Who somebody is elsewhere. `email` is empty unless the provider vouches for it."""

    issuer: str
    subject: str
    email: str
    name: str


def _client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(timeout=TIMEOUT, follow_redirects=False)


async def authorization_url(provider: Provider, flow: Flow, callback: str) -> str:
    """Where the browser goes. Raises Unanswered."""
    parameters = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": callback,
        "state": flow.state,
        "code_challenge": flow.challenge,
        "code_challenge_method": "S256",
    }
    if provider.name == GITHUB:
        return f"{provider.issuer}/login/oauth/authorize?{urlencode({**parameters, 'scope': 'read:user user:email'})}"
    async with _client() as client:
        endpoint = (await openid.discover(client, provider.issuer)).authorization
    parameters |= {"scope": "openid email profile", "nonce": flow.nonce}
    if flow.intent == PROVE:
        parameters |= {"prompt": "login", "max_age": "0"}
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"


async def account_of(provider: Provider, flow: Flow, code: str, callback: str) -> OutsideAccount:
    """Redeem the code and see whose it is. Raises Refused, Unanswered."""
    async with _client() as client:
        try:
            if provider.name == GITHUB:
                return OutsideAccount(provider.issuer, *await github.who(client, provider, flow, code, callback))
            return OutsideAccount(provider.issuer, *await openid.who(client, provider, flow, code, callback))
        except openid.BadAnswer as fault:
            raise Refused(
                f"{provider.label} did not confirm who you are ({fault}). Begin again; if it stays, write to us."
            ) from None
