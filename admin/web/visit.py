"""One request to the back office and the operator who makes it: what every handler gets."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from starlette.requests import Request

from admin.services import Services
from admin.web.cookies import SESSION, VISITOR
from domain.audit import Actor
from domain.faults import NotSignedIn
from domain.identity.operator_sessions import OperatorSession
from domain.operators import Operator, Right
from domain.settings import Settings
from portal.web.cookies import read_cookie
from portal.web.forgery import form_token, new_visitor


@dataclass
class Visit:
    """A request with its parts. `connection` is in a transaction where the route changes something.

    `signed_in` is the session with its operator; None at the door.
    """

    request: Request
    services: Services
    connection: Any = None
    signed_in: OperatorSession | None = None
    form: dict[str, Any] = field(default_factory=dict)
    """The fields of a posted form; what stands there several times is a list."""

    @property
    def settings(self) -> Settings:
        """The settings of this process."""
        return self.services.settings

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
        if self.signed_in is None:
            return Actor("operator", None, "", self.address, self.request_id)
        operator = self.signed_in.operator
        return Actor("operator", operator.id, operator.email, self.address, self.request_id)

    def text(self, name: str) -> str:
        """A posted field as text without blanks around it; empty if it is missing or stands there several times."""
        value = self.form.get(name, "")
        return value.strip() if isinstance(value, str) else ""

    def change(self) -> Any:
        """A savepoint: `async with visit.change():` around a change whose fault the handler tells itself."""
        return self.connection.transaction()

    @cached_property
    def session_token(self) -> str:
        """The session cookie's token, which may be anything; empty if there is none."""
        return read_cookie(self.request, self.settings.admin, SESSION)

    @cached_property
    def visitor(self) -> str:
        """What ties forms to this browser while nobody is signed in; a new one has to be set as a cookie."""
        return read_cookie(self.request, self.settings.admin, VISITOR) or new_visitor()

    @property
    def tied_to(self) -> str:
        """What this browser's form tokens are made of."""
        return self.session_token if self.signed_in is not None else self.visitor

    @property
    def csrf(self) -> str:
        """The token for forms."""
        return form_token(self.settings.secrets, self.tied_to)
