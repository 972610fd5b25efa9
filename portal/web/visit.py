"""One request to the portal and who makes it: what every handler gets."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from starlette.requests import Request

from domain.access import Access
from domain.audit import Actor
from domain.faults import NotSignedIn
from domain.identity.sessions import Session
from domain.settings import Settings
from portal.services import Services
from portal.web.cookies import SESSION, VISITOR, read_cookie
from portal.web.forgery import form_token, new_visitor


@dataclass
class Visit:
    """A request with its parts. `connection` is in a transaction if the method may change something; None if it was not asked for.

    `accesses` are all organizations of who is signed in; `here` is the one that this request is about.
    """

    request: Request
    services: Services
    connection: Any = None
    session: Session | None = None
    accesses: tuple[Access, ...] = ()
    here: Access | None = None
    token_name: str = ""
    """The personal access token, if one was shown in the place of a session."""
    form: dict[str, Any] = field(default_factory=dict)
    """The fields of a posted form; what stands there several times is a list."""

    @property
    def settings(self) -> Settings:
        """The settings of this process."""
        return self.services.settings

    @property
    def person(self) -> Session:
        """Who is signed in. Raises NotSignedIn."""
        if self.session is None:
            raise NotSignedIn("Sign in first.")
        return self.session

    @property
    def access(self) -> Access:
        """Their access to the organization of this request. Raises NotSignedIn where a route has none: a fault of ours."""
        if self.here is None:
            raise NotSignedIn("Sign in first.")
        return self.here

    @property
    def address(self) -> str:
        """The client's address, as trusted proxies report it."""
        return self.request.client.host if self.request.client else ""

    @property
    def user_agent(self) -> str:
        """The browser, as it names itself."""
        return self.request.headers.get("user-agent", "")

    @property
    def request_id(self) -> str:
        """Also in the answer's X-Request-Id."""
        return str(self.request.state.request_id)

    @property
    def actor(self) -> Actor:
        """Who acts, for the audit."""
        if self.session is None:
            return Actor(kind="user", address=self.address, request_id=self.request_id)
        kind = "operator" if self.session.acting else "user"
        return Actor(kind, self.session.user_id, self.session.email, self.address, self.request_id)

    def change(self) -> Any:
        """A savepoint: `async with visit.change():` around a change whose fault the handler tells itself."""
        return self.connection.transaction()

    @cached_property
    def session_token(self) -> str:
        """The session cookie's token, which may be anything; empty if there is none."""
        return read_cookie(self.request, self.settings.portal, SESSION)

    @cached_property
    def visitor(self) -> str:
        """What ties forms to this browser while nobody is signed in; a new one has to be set as a cookie."""
        return read_cookie(self.request, self.settings.portal, VISITOR) or new_visitor()

    @property
    def tied_to(self) -> str:
        """What this browser's form tokens are made of."""
        return self.session_token if self.session is not None else self.visitor

    @property
    def csrf(self) -> str:
        """The token for forms and for X-CSRF-Token."""
        return form_token(self.settings.secrets, self.tied_to)
