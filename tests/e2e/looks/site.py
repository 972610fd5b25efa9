"""The portal on a socket for a real browser, with somebody signed in and one of everything to look at."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Browser, BrowserContext, async_playwright

from cli.supervisor.ports import free_port
from domain.identity.acting_links import ActingLink, browser_of, new_acting_link
from domain.identity.links import CHANGE_EMAIL, KEEP_ACCOUNT, RESET, VERIFY, new_link
from domain.identity.sessions import ADMIN, begin_session
from domain.mail_transport import mail_folder
from domain.mailing import Mailer
from domain.outbox import post_mail
from domain.random_tokens import digest_of, new_token
from domain.redis_keys import acting_link_key
from portal.pages.table import PAGES
from portal.web.admission import Audience
from portal.web.cookies import SESSION, cookie_name
from tests.integration.portal.isolation.belongings import belongings
from tests.portals import Person, Portal, portal_settings, running_portal

CHROMIUM = "/usr/bin/chromium"
NEEDS_CHROMIUM = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs the distribution's Chromium")
PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
BROWSER = "Looks 1.0"
"""What the browsers of these tests call themselves."""
STREAMS = ("/live", "/export", "/result", "/callback", "/sign-in/google", "/sign-in/github")
"""Ends of GET routes that are no pages: they last, are files, or lead to another site."""


@dataclass
class Site:
    """A served portal, and what fills the paths of its pages."""

    portal: Portal
    person: Person
    url: str
    objects: dict[str, Any] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    """Tokens of links that were mailed, by the pattern of their page."""

    async def context(
        self, browser: Browser, *, signed_in: bool, width: int, scheme: str, **more: Any
    ) -> BrowserContext:
        """A window of this width; signed in or not."""
        size = {"width": width, "height": 844 if width < 600 else 800}
        more = {"user_agent": BROWSER, "viewport": size, "color_scheme": scheme, "reduced_motion": "reduce", **more}
        context = await browser.new_context(**more)
        if signed_in:
            name = cookie_name(self.portal.settings.portal, SESSION)
            value = self.person.browser.client.cookies.get(name)
            await context.add_cookies([{"name": name, "value": value, "url": self.url}])
        return context


def page_paths() -> list[tuple[str, bool]]:
    """Every GET page by its pattern, and whether somebody must be signed in."""
    found = []
    for page in PAGES:
        if page.method == "GET" and not page.path.endswith(STREAMS):
            found.append((page.path, page.audience is not Audience.ANYONE))
    return found


def filled(path: str, site: Site) -> str | None:
    """The path with what is there; None where nothing fits a parameter."""
    known = {"organization": site.person.organization.slug, "token": site.links.get(path), **site.objects}
    names = PARAMETER.findall(path)
    if any(known.get(name) is None for name in names):
        return None
    return PARAMETER.sub(lambda match: str(known[match.group(1)]), path)


@contextlib.asynccontextmanager
async def served(database_url: str, redis_url: str, mail_folder: Any) -> AsyncIterator[Site]:
    """The portal on a port of its own, until the end."""
    settings = portal_settings(database_url, redis_url, mail_folder)
    settings.portal = settings.portal.model_copy(update={"port": free_port()})
    settings.mail = settings.mail.model_copy(update={"mailbox": True})
    async with running_portal(settings) as portal:
        config = uvicorn.Config(
            portal.app, port=settings.portal.port, lifespan="off", log_level="warning", server_header=False,
            timeout_graceful_shutdown=2,
        )  # fmt: skip
        server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext  # the test's own signals stay its own
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.02)
        person = await portal.person("owner")
        objects = {**await belongings(portal, person), "mail": await _mailed(portal, person.email)}
        yield Site(portal, person, settings.portal.base_url, objects, await _links(portal, person))
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The distribution's Chromium without a window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


async def _links(portal: Portal, person: Person) -> dict[str, str]:
    """A link of each kind that is good."""
    waiting, email = await portal.user(verified=False)
    async with portal.pool.acquire() as connection:
        made = {
            "/verify/{token}": await new_link(connection, waiting, email, VERIFY, organization_name="New"),
            "/reset/{token}": await new_link(connection, person.user_id, person.email, RESET),
            "/account/email/{token}": await new_link(connection, person.user_id, "new@example.com", CHANGE_EMAIL),
            "/account/keep/{token}": await new_link(connection, person.user_id, person.email, KEEP_ACCOUNT),
        }
        offered = new_token()
        await connection.execute(
            "insert into invitation (organization_id, email, role, token_digest, invited_by, expires_at)"
            " values ($1, 'guest@example.com', 'viewer', $2, $3, now() + interval '7 days')",
            person.organization.id,
            offered.digest,
            person.user_id,
        )
        acting = await _acting_link(portal, connection, person)
    return {**made, "/invitations/{token}": offered.text, "/acting/{token}": acting}


async def _acting_link(portal: Portal, connection: Any, person: Person) -> str:
    """A link by which an operator would act as the person's organization, good for longer than those of operators are."""
    operator_id, _ = await portal.user()
    await connection.execute("update users set operator_role = 'support', admin = true where id = $1", operator_id)
    session = await begin_session(
        connection, operator_id, lasts=timedelta(hours=1), address="127.0.0.1", user_agent=BROWSER, face=ADMIN
    )
    session_id = await connection.fetchval("select id from portal_session where token_digest = $1", session.digest)
    link = ActingLink(
        operator_id=operator_id,
        session_id=session_id,
        organization_id=person.organization.id,
        minutes=30,
        may_change=False,
        reason="a ticket",
        browser=browser_of(BROWSER),
    )
    redis = portal.app.state.services.redis
    token = await new_acting_link(redis, link)
    await redis.expire(acting_link_key(digest_of(token)), timedelta(hours=1))
    return token


async def _mailed(portal: Portal, email: str) -> str:
    """A mail in the mailbox of development: its name there."""
    values = {"email": email, "link": f"{portal.settings.portal.base_url}/verify/{'x' * 43}"}
    async with portal.pool.acquire() as connection:
        await post_mail(connection, portal.settings.secrets, template="verify_email", to=email, values=values)
    while await Mailer(portal.pool, portal.settings).deliver_due():
        pass
    return next(mail_folder(portal.settings.mail).glob("*.eml")).stem
