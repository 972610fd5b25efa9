"""The back office in a test: the real application on real databases, operators who are signed in, actions carried out."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from html import unescape

import httpx2

from admin.app import create_app
from admin.web.cookies import SESSION, VISITOR
from domain.identity.sessions import ADMIN, begin_session
from domain.operators import OperatorRole
from domain.settings import Settings
from portal.web.cookies import cookie_name
from portal.web.forgery import FIELD, form_token
from tests.portals import Browser, Portal, own_address

_HIDDEN = re.compile(r'<input type="hidden" name="(once|seen)" value="([^"]*)">')

_ANY_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


class OperatorBrowser(Browser):
    """A client with cookies of the back office."""

    @property
    def csrf(self) -> str:
        """The token for forms of this browser, signed in or not."""
        face, cookies = self.settings.admin, self.client.cookies
        tied_to = cookies.get(cookie_name(face, SESSION)) or cookies.get(cookie_name(face, VISITOR), "")
        return form_token(self.settings.secrets, tied_to)

    async def post(self, path: str, data: dict | None = None, **options) -> httpx2.Response:
        """A form with its token; at the door the one of a browser that is not signed in yet."""
        if path.startswith("/sign-in"):
            visitor = cookie_name(self.settings.admin, VISITOR)
            if visitor not in self.client.cookies:
                await self.client.get("/sign-in")
            token = form_token(self.settings.secrets, self.client.cookies.get(visitor, ""))
            data = {FIELD: token, **(data or {})}
        return await super().post(path, data, **options)

    async def preview(self, slug: str, /, **values) -> httpx2.Response:
        """What the action would do."""
        return await self.post(f"/actions/{slug}/preview", values)

    async def look(self, slug: str, /, **values) -> dict[str, str]:
        """The fields of the form that would do it, without a reason; for what happens between looking and doing."""
        seen = await self.preview(slug, **values)
        assert seen.status_code == 200, seen.text
        form = seen.text.split('class="stack spaced"')[1].split("</form>")[0]
        return {name: unescape(value) for name, value in _ANY_HIDDEN.findall(form) if name != FIELD}

    async def act(self, slug: str, /, reason: str = "a test", **values) -> httpx2.Response:
        """Look at what the action would do, then do it. The preview's answer if that tells of a mistake."""
        seen = await self.preview(slug, **values)
        hidden = dict(_HIDDEN.findall(unescape(seen.text)))
        if "once" not in hidden:
            return seen
        return await self.post(f"/actions/{slug}", {**values, **hidden, "reason": reason})


@dataclass
class TestOperator:
    """An operator with a browser that is signed in."""

    __test__ = False

    user_id: int
    email: str
    role: OperatorRole
    browser: OperatorBrowser


class BackOffice(Portal):
    """The application in its lifespan. Its people and organizations are made as the portal's are."""

    def browser(self, address: str = "") -> OperatorBrowser:
        """A new browser without cookies, at that address, else at one of its own."""
        transport = httpx2.ASGITransport(app=self.app, client=(address or own_address(), 40_000))
        client = httpx2.AsyncClient(
            transport=transport, base_url=self.settings.admin.base_url, headers={"user-agent": "Test Browser 1.0"}
        )
        return OperatorBrowser(self.settings, client)

    async def operator(self, role: OperatorRole | str = OperatorRole.SUPERUSER) -> TestOperator:
        """A new operator, signed in."""
        user_id, email = await self.user()
        await self.appoint(user_id, role)
        return TestOperator(user_id, email, OperatorRole(role), await self.sign_in(user_id))

    async def appoint(self, user_id: int, role: OperatorRole | str | None) -> None:
        """Give a user a role, or none."""
        await self.pool.execute(
            "update users set operator_role = $2, admin = $2::text is not null,"
            " superuser = $2 is not distinct from 'superuser' where id = $1",
            user_id,
            OperatorRole(role).value if role else None,
        )

    async def sign_in(self, user_id: int) -> OperatorBrowser:
        """A browser that is signed in to the back office as the user."""
        browser = self.browser("127.0.0.1")
        token = await begin_session(
            self.pool,
            user_id,
            lasts=timedelta(hours=1),
            address="127.0.0.1",
            user_agent="Test Browser 1.0",
            face=ADMIN,
        )
        name = cookie_name(self.settings.admin, SESSION)
        browser.client.cookies.set(name, token.text, domain="localhost.local")
        return browser


@asynccontextmanager
async def running_back_office(settings: Settings, *, factor_required: bool = False) -> AsyncIterator[BackOffice]:
    """A back office's application in its lifespan."""
    settings.admin = settings.admin.model_copy(update={"factor_required": factor_required})
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield BackOffice(app, settings)
