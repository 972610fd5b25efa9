"""OpenID Connect, code flow: discovery, the code for an ID token, and whether that token is what it says."""

import hmac
from dataclasses import dataclass
from typing import Any

import httpx2
import jwt

from domain.identity.fetching import BadAnswer, Unanswered, ask, text_of
from domain.identity.flows import PROVE, Flow
from domain.identity.providers import Provider

__all__ = ["BadAnswer", "discover", "who"]

ALGORITHMS = ("RS256", "ES256")
LEEWAY_SECONDS = 60
LONGEST_SUBJECT = 255


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What discovery tells."""

    authorization: str
    token: str
    keys: str


async def discover(client: httpx2.AsyncClient, issuer: str) -> Endpoints:
    """The issuer's endpoints. Raises Unanswered, also for a document of another issuer."""
    try:
        document = await ask(client, "GET", f"{issuer}/.well-known/openid-configuration")
    except BadAnswer:
        raise Unanswered from None
    found = Endpoints(
        text_of(document, "authorization_endpoint"), text_of(document, "token_endpoint"), text_of(document, "jwks_uri")
    )
    # An issuer that is asked over https sends nobody over plain http.
    scheme = "https://" if issuer.startswith("https://") else "http"
    whole = all(url.startswith(scheme) for url in (found.authorization, found.token, found.keys))
    if not whole or text_of(document, "issuer").rstrip("/") != issuer:
        raise Unanswered
    return found


async def who(
    client: httpx2.AsyncClient, provider: Provider, flow: Flow, code: str, callback: str
) -> tuple[str, str, str]:
    """Subject, vouched address or nothing, name. Raises BadAnswer, Unanswered."""
    endpoints = await discover(client, provider.issuer)
    answer = await ask(
        client,
        "POST",
        endpoints.token,
        data={
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": callback,
            "client_id": provider.client_id,
            "client_secret": provider.client_secret,
            "code_verifier": flow.verifier,
        },
    )
    claims = verified(text_of(answer, "id_token"), await _keys(client, endpoints.keys), provider, flow)
    said = claims.get("email_verified")
    vouched = said is True or said == "true"
    return text_of(claims, "sub"), text_of(claims, "email") if vouched else "", text_of(claims, "name")


def verified(token: str, keys: jwt.PyJWKSet, provider: Provider, flow: Flow) -> dict[str, Any]:
    """The claims of an ID token that is signed by the issuer, for us, now, and for this flow. Raises BadAnswer."""
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in ALGORITHMS:
            raise BadAnswer("its token is signed in a way that is not taken")
        claims: dict[str, Any] = jwt.decode(
            token,
            _key_of(keys, header.get("kid")),
            algorithms=list(ALGORITHMS),
            audience=provider.client_id,
            issuer=[provider.issuer, f"{provider.issuer}/"],
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )
    except (jwt.PyJWTError, ValueError, TypeError) as fault:
        raise BadAnswer(f"its token is not valid: {type(fault).__name__}") from None
    audience = claims["aud"]
    if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != provider.client_id:
        raise BadAnswer("its token is for somebody else")
    if not hmac.compare_digest(text_of(claims, "nonce").encode(), flow.nonce.encode()):
        raise BadAnswer("its token is of another sign-in")
    signed_in = claims.get("auth_time")
    if flow.intent == PROVE and isinstance(signed_in, int) and signed_in < flow.began - LEEWAY_SECONDS:
        raise BadAnswer("it did not ask you anew")
    if not 1 <= len(text_of(claims, "sub")) <= LONGEST_SUBJECT:
        raise BadAnswer("its token names nobody")
    return claims


async def _keys(client: httpx2.AsyncClient, url: str) -> jwt.PyJWKSet:
    try:
        return jwt.PyJWKSet.from_dict(await ask(client, "GET", url))
    except (BadAnswer, jwt.PyJWTError, AttributeError, TypeError, ValueError):
        raise Unanswered from None


def _key_of(keys: jwt.PyJWKSet, key_id: object) -> jwt.PyJWK:
    if key_id is None and len(keys.keys) == 1:
        return keys.keys[0]
    return next((key for key in keys.keys if key.key_id == key_id), None) or _unknown_key()


def _unknown_key() -> jwt.PyJWK:
    raise BadAnswer("its token is signed by an unknown key")
