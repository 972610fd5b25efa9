"""The portal in a test: the real application on real databases, people who are signed in, browsers that send forms."""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import httpx2

from domain import organizations, plans
from domain.access import Access, access_organization
from domain.identity.sessions import begin_session
from domain.limit_texts import parse_limits
from domain.passwords import hash_password
from domain.settings import (
    DatabaseSettings,
    KeySettings,
    MailSettings,
    RedisSettings,
    SecretSettings,
    Settings,
    WebhookSettings,
)
from portal.app import create_app
from portal.background import Task
from portal.web.cookies import SESSION, VISITOR, cookie_name
from portal.web.forgery import FIELD, HEADER, form_token
from tests.databases import PEPPERS

SECRETS = f"1:{'33' * 32}"
PASSWORD = "correct horse battery"
PLAN = "portal-plan"
_HASHES: list[str] = []


def portal_settings(database_url: str, redis_url: str, mail_folder) -> Settings:
    """The settings of a portal on these databases, mails into a folder."""
    settings = Settings()
    settings.database = DatabaseSettings(url=database_url)
    settings.redis = RedisSettings(url=redis_url, timeout_ms=1000)
    settings.keys = KeySettings(peppers=PEPPERS)
    settings.secrets = SecretSettings(keys=SECRETS)
    settings.mail = MailSettings(folder=mail_folder)
    settings.webhooks = WebhookSettings(allow_private=True, deliver=False)
    settings.portal = settings.portal.model_copy(update={"sign_up_plan": PLAN, "metrics_port": 0})
    settings.admin = settings.admin.model_copy(update={"metrics_port": 0})
    return settings


def own_address() -> str:
    """An address that no other test uses."""
    return f"10.{secrets.randbelow(256)}.{secrets.randbelow(256)}.{secrets.randbelow(256)}"


class Browser:
    """A client with cookies that sends forms with their token, as a page of ours would."""

    def __init__(self, settings: Settings, client: httpx2.AsyncClient) -> None:
        self.settings, self.client = settings, client

    @property
    def csrf(self) -> str:
        """The token for forms of this browser, signed in or not."""
        portal = self.settings.portal
        tied_to = self.client.cookies.get(cookie_name(portal, SESSION)) or self.client.cookies.get(
            cookie_name(portal, VISITOR), ""
        )
        return form_token(self.settings.secrets, tied_to)

    async def get(self, path: str, **options) -> httpx2.Response:
        """GET without following redirects."""
        return await self.client.get(path, **options)

    async def post(self, path: str, data: dict | None = None, **options) -> httpx2.Response:
        """A form with its token. A browser that has no cookie yet fetches a page first."""
        if not self.client.cookies:
            await self.client.get("/sign-in")
        return await self.client.post(path, data={FIELD: self.csrf, **(data or {})}, **options)

    async def api(self, method: str, path: str, json=None, headers=None, **options) -> httpx2.Response:
        """A call of the API by this browser's session."""
        fields = {HEADER: self.csrf, **(headers or {})}
        return await self.client.request(method, f"/api{path}", json=json, headers=fields, **options)


@dataclass
class Person:
    """A user with a browser that is signed in, in one organization of their own."""

    user_id: int
    email: str
    organization: organizations.OrganizationRecord
    access: Access
    browser: Browser

    @property
    def root(self) -> str:
        """Where the organization's pages are."""
        return f"/o/{self.organization.slug}"


class Portal:
    """The application in its lifespan."""

    def __init__(self, app, settings: Settings) -> None:
        self.app, self.settings = app, settings

    @property
    def pool(self):
        """Its connections to the database."""
        return self.app.state.services.database

    def browser(self, address: str = "") -> Browser:
        """A new browser without cookies, at that address, else at one of its own: wrong tries are counted by address."""
        transport = httpx2.ASGITransport(app=self.app, client=(address or own_address(), 40_000))
        client = httpx2.AsyncClient(
            transport=transport, base_url=self.settings.portal.base_url, headers={"user-agent": "Test Browser 1.0"}
        )
        return Browser(self.settings, client)

    async def user(self, email: str | None = None, *, verified: bool = True) -> tuple[int, str]:
        """A new user whose password is PASSWORD; id and address."""
        email = email or f"user-{secrets.token_hex(6)}@example.com"
        user_id = await self.pool.fetchval(
            "insert into users (username, email, password, active, email_verified_at)"
            " values ($1, $1, $2, true, case when $3 then now() end) returning id",
            email,
            await hash_of_password(),
            verified,
        )
        return user_id, email

    async def organization(self, name: str | None = None) -> organizations.OrganizationRecord:
        """A new organization on a generous plan."""
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(77)")
            if not await connection.fetchval("select true from plan where slug = $1", PLAN):
                await plans.create(
                    connection, slug=PLAN, limits=parse_limits(["1000/hour", "10000/day"]), name="Portal plan"
                )
            return await organizations.create(connection, name=name or f"Org {secrets.token_hex(5)}", plan_slug=PLAN)

    async def join(self, user_id: int, organization_id, role: str) -> None:
        """Make a user a member."""
        await self.pool.execute(
            "insert into membership (organization_id, user_id, role) values ($1, $2, $3)",
            organization_id,
            user_id,
            role,
        )

    async def sign_in(self, user_id: int) -> Browser:
        """A browser that is signed in as the user."""
        browser = self.browser("127.0.0.1")
        token = await begin_session(
            self.pool, user_id, lasts=timedelta(days=1), address="127.0.0.1", user_agent="Test Browser 1.0"
        )
        # The domain as the cookie jar writes it, so that a new cookie of the portal takes this one's place.
        name = cookie_name(self.settings.portal, SESSION)
        browser.client.cookies.set(name, token.text, domain="localhost.local")
        return browser

    async def person(self, role: str = "owner", organization: organizations.OrganizationRecord | None = None) -> Person:
        """A user with that role, in a new organization or in one that is there."""
        organization = organization or await self.organization()
        user_id, email = await self.user()
        await self.join(user_id, organization.id, role)
        access = await access_organization(self.pool, user_id, organization.slug)
        return Person(user_id, email, organization, access, await self.sign_in(user_id))


async def hash_of_password() -> str:
    """The hash of PASSWORD, with the product's own parameters, made once: 20 ms for each of thousands of users."""
    if not _HASHES:
        _HASHES.append(await hash_password(PASSWORD))
    return _HASHES[0]


@asynccontextmanager
async def running_portal(settings: Settings, tasks: Sequence[Task] = ()) -> AsyncIterator[Portal]:
    """A portal's application in its lifespan; without background tasks, so that a test finds its mails in the outbox."""
    app = create_app(settings, tasks)
    async with app.router.lifespan_context(app):
        yield Portal(app, settings)
