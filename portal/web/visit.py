"""One request to the portal and who makes it: what every handler gets."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from starlette.requests import Request

from domain.access import Access
from domain.audit import Actor
from domain.faults import NotSignedIn
from domain.identity.sessions import Session
from domain.portal_settings import Face
from portal.services import Services
from portal.web.asking import Asking
from portal.web.cookies import SESSION, VISITOR


@dataclass
class Visit(Asking):
    """A request with its parts. `connection` is in a transaction if the method may change something; None if it was not asked for.

    `accesses` are all organizations of who is signed in; `here` is the one that this request is about.
    """

    SESSION: ClassVar[str] = SESSION
    VISITOR: ClassVar[str] = VISITOR
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
    def face(self) -> Face:
        """The portal."""
        return self.settings.portal

    @property
    def known(self) -> bool:
        """Whether somebody is signed in."""
        return self.session is not None

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
    def actor(self) -> Actor:
        """Who acts, for the audit."""
        if self.session is None:
            return Actor(kind="user", address=self.address, request_id=self.request_id)
        kind = "operator" if self.session.acting else "user"
        return Actor(kind, self.session.user_id, self.session.email, self.address, self.request_id)
