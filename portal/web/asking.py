"""What every request from a browser has, whichever face it asks: where it comes from, its cookies, its form's token."""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any, ClassVar, Protocol

from starlette.requests import Request

from domain.portal_settings import Face
from domain.settings import Settings
from portal.web.cookies import read_cookie
from portal.web.forgery import form_token, new_visitor


class HasSettings(Protocol):
    """The parts of a face's process, as far as they are looked at here."""

    @property
    def settings(self) -> Settings:
        """The settings of this process."""


class Asking(ABC):
    """What the visits of all faces have in common. Each says which face it asks and whether somebody is signed in there."""

    SESSION: ClassVar[str]
    """The name of the cookie of who is signed in."""
    VISITOR: ClassVar[str]
    """The name of the cookie of who is not, which ties forms to the browser."""
    request: Request
    services: HasSettings
    connection: Any

    @property
    @abstractmethod
    def face(self) -> Face:
        """The face that is asked."""

    @property
    @abstractmethod
    def known(self) -> bool:
        """Whether somebody is signed in."""

    @property
    def settings(self) -> Settings:
        """The settings of this process."""
        return self.services.settings

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

    def change(self) -> Any:
        """A savepoint: `async with visit.change():` around a change whose fault the handler tells itself."""
        return self.connection.transaction()

    @cached_property
    def session_token(self) -> str:
        """The session cookie's token, which may be anything; empty if there is none."""
        return read_cookie(self.request, self.face, self.SESSION)

    @cached_property
    def visitor(self) -> str:
        """What ties forms to this browser while nobody is signed in; a new one has to be set as a cookie."""
        return read_cookie(self.request, self.face, self.VISITOR) or new_visitor()

    @property
    def tied_to(self) -> str:
        """What this browser's form tokens are made of."""
        return self.session_token if self.known else self.visitor

    @property
    def csrf(self) -> str:
        """The token for forms and for X-CSRF-Token."""
        return form_token(self.settings.secrets, self.tied_to)
