"""The back office on a socket for a real browser, with an operator who is signed in, and every address of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from playwright.async_api import Browser, BrowserContext

from admin.actions.table import ACTIONS
from admin.pages.table import PAGES
from admin.web.admission import Audience
from admin.web.cookies import SESSION
from cli.supervisor.ports import free_port
from domain.reports.registry import REPORTS
from domain.settings import Settings
from portal.web.cookies import cookie_name
from tests.admins import BackOffice, TestOperator, running_back_office
from tests.e2e.looks.site import PARAMETER

FIXED = {"/reports/{slug}": tuple(REPORTS), "/actions/{slug}": tuple(action.slug for action in ACTIONS)}
"""Pages that stand for many, each of which exists in every installation."""
NO_PAGES = (".csv", "/live", "/sign-in/factor")
"""Ends of GET routes that answer with a file or last, or that only a sign-in leads to."""


@dataclass(frozen=True, slots=True)
class Address:
    """A page that can be opened; `pattern` is its path in the table, `fixed` what is in the place of its parameter."""

    pattern: str
    signed_in: bool
    fixed: str = ""

    @property
    def needs_object(self) -> bool:
        """Whether something must have been made before it can be opened."""
        return not self.fixed and bool(PARAMETER.search(self.pattern))

    def path(self, objects: dict[str, Any]) -> str | None:
        """The path with what is there, which `objects` has by the pattern; None where it has nothing."""
        value = self.fixed or objects.get(self.pattern)
        if value is None:
            return None if PARAMETER.search(self.pattern) else self.pattern
        return PARAMETER.sub(str(value), self.pattern, count=1)

    def __str__(self) -> str:
        return self.pattern if not self.fixed else self.pattern.replace("{slug}", self.fixed)


@dataclass
class OfficeSite:
    """A served back office."""

    office: BackOffice
    operator: TestOperator
    url: str
    objects: dict[str, Any] = field(default_factory=dict)

    async def context(self, browser: Browser, *, signed_in: bool, width: int, scheme: Any) -> BrowserContext:
        """A window of this width; signed in or not."""
        size: Any = {"width": width, "height": 844 if width < 600 else 800}
        context = await browser.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce")
        if signed_in:
            name = cookie_name(self.office.settings.admin, SESSION)
            value = self.operator.browser.client.cookies.get(name)
            await context.add_cookies([{"name": name, "value": str(value), "url": self.url}])
        return context


def addresses() -> list[Address]:
    """Every page of the table."""
    return list(_addresses())


def _addresses() -> Iterable[Address]:
    for page in PAGES:
        if page.method != "GET" or page.path.endswith(NO_PAGES):
            continue
        signed_in = page.audience is not Audience.ANYONE
        for fixed in FIXED.get(page.path, ("",)):
            yield Address(page.path, signed_in, fixed)


@contextlib.asynccontextmanager
async def served_office(settings: Settings) -> AsyncIterator[OfficeSite]:
    """The back office on a port of its own, until the end."""
    settings.admin = settings.admin.model_copy(update={"port": free_port()})
    async with running_back_office(settings) as office:
        config = uvicorn.Config(
            office.app, port=settings.admin.port, lifespan="off", log_level="warning", server_header=False,
            timeout_graceful_shutdown=2,
        )  # fmt: skip
        server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext  # the test's own signals stay its own
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.02)
        yield OfficeSite(office, await office.operator("superuser"), settings.admin.base_url)
        server.should_exit = True
        await task
