"""One request to the back office and the operator who makes it: what every handler gets."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from starlette.requests import Request

from admin.services import Services
from admin.web.cookies import SESSION, VISITOR
from domain.audit import Actor
from domain.faults import NotSignedIn
from domain.identity.operator_sessions import OperatorSession
from domain.operators import Operator, Right
from domain.portal_settings import Face
from portal.web.asking import Asking


@dataclass
class Visit(Asking):
    """A request with its parts. `connection` is in a transaction where the route changes something.

    `signed_in` is the session with its operator; None at the door.
    """

    SESSION: ClassVar[str] = SESSION
    VISITOR: ClassVar[str] = VISITOR
    request: Request
    services: Services
    connection: Any = None
    signed_in: OperatorSession | None = None
    form: dict[str, Any] = field(default_factory=dict)
    """The fields of a posted form; what stands there several times is a list."""

    @property
    def face(self) -> Face:
        """The back office."""
        return self.settings.admin

    @property
    def known(self) -> bool:
        """Whether somebody is signed in."""
        return self.signed_in is not None

    @property
    def here(self) -> OperatorSession:
        """The session. Raises NotSignedIn."""
        if self.signed_in is None:
            raise NotSignedIn("Sign in first.")
        return self.signed_in

    @property
    def operator(self) -> Operator:
        """Who is signed in. Raises NotSignedIn."""
        return self.here.operator

    def may(self, right: Right) -> bool:
        """Whether who is signed in has the right."""
        return self.signed_in is not None and self.signed_in.operator.may(right)

    @property
    def actor(self) -> Actor:
        """Who acts, for the audit."""
        if self.signed_in is None:
            return Actor("operator", None, "", self.address, self.request_id)
        operator = self.signed_in.operator
        return Actor("operator", operator.id, operator.email, self.address, self.request_id)

    def text(self, name: str) -> str:
        """A posted field as text without blanks around it; empty if it is missing or stands there several times."""
        value = self.form.get(name, "")
        return value.strip() if isinstance(value, str) else ""
