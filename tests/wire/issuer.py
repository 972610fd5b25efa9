"""Providers of identity over a socket: an OpenID issuer as Google is, and the OAuth of GitHub, both on one port.

A test says who agrees next, and how the issuer misbehaves.
"""

import asyncio
import base64
import contextlib
import hashlib
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from cli.supervisor.ports import free_port

CLIENT_ID, CLIENT_SECRET = "portal-client", "portal-secret"


def new_key() -> rsa.RSAPrivateKey:
    """A key of the size that issuers use."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


@dataclass
class Grant:
    """What a code stands for, until it is redeemed."""

    query: dict[str, str]
    person: dict[str, Any]


@dataclass
class Issuer:
    """The provider's state. `claims` override those of the ID token; None removes one."""

    url: str
    key: rsa.RSAPrivateKey = field(default_factory=new_key)
    person: dict[str, Any] = field(default_factory=dict)
    emails: list[dict[str, Any]] = field(default_factory=list)
    claims: dict[str, Any] = field(default_factory=dict)
    denies: bool = False
    status: int = 200
    """Of discovery, tokens and the API."""
    delay: float = 0.0
    forge: Any = None
    """Makes the ID token in the issuer's place: forge(claims)."""
    codes: dict[str, Grant] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def reset(self) -> None:
        """Behave well, and forget who agreed."""
        self.person, self.emails, self.claims, self.forge = {}, [], {}, None
        self.denies, self.status, self.delay = False, 200, 0.0

    def token(self, claims: dict[str, Any], **options: Any) -> str:
        """An ID token, signed by the issuer's key unless told otherwise."""
        given = {"key": self.key, "algorithm": "RS256", "headers": {"kid": "one"}, **options}
        return jwt.encode(claims, given["key"], algorithm=given["algorithm"], headers=given["headers"])

    async def discovery(self, request: Request) -> Response:
        """OpenID discovery."""
        return await self._answer(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
            }
        )

    async def keys(self, request: Request) -> Response:
        """The public key."""
        public = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return await self._answer({"keys": [{**public, "kid": "one", "use": "sig", "alg": "RS256"}]})

    async def authorize(self, request: Request) -> Response:
        """The person agrees at once, or denies."""
        query = dict(request.query_params)
        assert query["client_id"] == CLIENT_ID
        assert query["code_challenge_method"] == "S256"
        if self.denies:
            answer = {"error": "access_denied", "state": query["state"]}
        else:
            code = secrets.token_urlsafe(16)
            self.codes[code] = Grant(query, dict(self.person))
            answer = {"code": code, "state": query["state"]}
        return RedirectResponse(f"{query['redirect_uri']}?{urlencode(answer)}", status_code=302)

    async def redeem(self, request: Request) -> Response:
        """A code for an ID token: once, by the client, with the verifier."""
        grant = await self._redeemed(request)
        if grant is None:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": grant.query["nonce"],
            **grant.person,
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        token = self.forge(claims) if self.forge else self.token(claims)
        return await self._answer({"access_token": "x", "token_type": "Bearer", "id_token": token})

    async def github_redeem(self, request: Request) -> Response:
        """GitHub's way: faults have the status 200."""
        grant = await self._redeemed(request)
        if grant is None:
            return JSONResponse({"error": "bad_verification_code"})
        return await self._answer({"access_token": "gho_test", "token_type": "bearer"})

    async def github_user(self, request: Request) -> Response:
        """Who the token is of."""
        assert request.headers["authorization"] == "Bearer gho_test"
        return await self._answer(self.person)

    async def github_emails(self, request: Request) -> Response:
        """The addresses."""
        return await self._answer(self.emails)

    async def _redeemed(self, request: Request) -> Grant | None:
        form = await request.form()
        grant = self.codes.pop(str(form.get("code")), None)
        if grant is None or (form["client_id"], form["client_secret"]) != (CLIENT_ID, CLIENT_SECRET):
            return None
        digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        proven = base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == grant.query["code_challenge"]
        return grant if proven and form["redirect_uri"] == grant.query["redirect_uri"] else None

    async def _answer(self, content: Any) -> Response:
        await asyncio.sleep(self.delay)
        return JSONResponse(content, self.status)

    def routes(self) -> list[Route]:
        """All of it."""
        return [
            Route("/.well-known/openid-configuration", self.discovery),
            Route("/keys", self.keys),
            Route("/authorize", self.authorize),
            Route("/token", self.redeem, methods=["POST"]),
            Route("/login/oauth/authorize", self.authorize),
            Route("/login/oauth/access_token", self.github_redeem, methods=["POST"]),
            Route("/user", self.github_user),
            Route("/user/emails", self.github_emails),
        ]


@contextlib.asynccontextmanager
async def running_issuer() -> AsyncIterator[Issuer]:
    """It on a port of its own, until the end."""
    port = free_port()
    issuer = Issuer(f"http://127.0.0.1:{port}")
    app = Starlette(routes=issuer.routes())
    config = uvicorn.Config(app, host="127.0.0.1", port=port, lifespan="off", log_level="warning")
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield issuer
    finally:
        server.should_exit = True
        await task
