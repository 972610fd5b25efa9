"""GitHub, which speaks OAuth 2 without identity tokens: the code for an access token, that for the user and addresses."""

from typing import Any

import httpx2

from domain.identity.fetching import BadAnswer, ask, text_of
from domain.identity.flows import Flow
from domain.identity.providers import Provider


async def who(
    client: httpx2.AsyncClient, provider: Provider, flow: Flow, code: str, callback: str
) -> tuple[str, str, str]:
    """Subject, verified primary address or nothing, name. Raises BadAnswer, Unanswered."""
    answer = await ask(
        client,
        "POST",
        f"{provider.issuer}/login/oauth/access_token",
        data={
            "client_id": provider.client_id,
            "client_secret": provider.client_secret,
            "code": code,
            "redirect_uri": callback,
            "code_verifier": flow.verifier,
        },
    )
    token = text_of(answer, "access_token")
    if not token:
        raise BadAnswer("the code was refused")
    headers = {"authorization": f"Bearer {token}", "x-github-api-version": "2022-11-28", "user-agent": "paid-endpoint"}
    user = await ask(client, "GET", f"{provider.api}/user", headers=headers)
    addresses = await ask(client, "GET", f"{provider.api}/user/emails", headers=headers)
    number = user.get("id") if isinstance(user, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or number <= 0:
        raise BadAnswer("it names nobody")
    return str(number), _primary(addresses), text_of(user, "name") or text_of(user, "login")


def _primary(addresses: Any) -> str:
    """The primary address, if GitHub has verified it."""
    for address in addresses if isinstance(addresses, list) else ():
        if isinstance(address, dict) and address.get("primary") is True and address.get("verified") is True:
            return text_of(address, "email")
    return ""
