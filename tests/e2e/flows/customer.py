"""A new customer at a real browser: what they do at the doors, and what their browser must never say."""

import contextlib
import re
import secrets
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from playwright.async_api import Browser, BrowserContext, Page, Response

from domain.credit_amounts import MICRO
from domain.credits.granting import grant
from domain.organizations import fetch_organization
from tests.e2e.up import Up
from tests.portals import own_address

SECONDS, MAIL_SECONDS = 15.0, 30.0
PASSWORD = "four quiet words here"


@dataclass
class Customer:
    """One person in one browser window. `wrong` collects what no page may cause: failures, script errors, breaches of the policy."""

    up: Up
    browser: Browser
    scripted: bool
    email: str
    password: str
    context: BrowserContext
    page: Page
    slug: str = ""
    wrong: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the portal is."""
        return self.up.demo()["PORTAL_URL"]

    @property
    def root(self) -> str:
        """Where the customer's organization is."""
        return f"{self.url}/o/{self.slug}"

    async def go(self, path: str) -> None:
        """Open a page of the portal, or of the organization where the path begins without a slash."""
        await self.page.goto(self.url + path if path.startswith("/") else f"{self.root}/{path}".rstrip("/"))

    async def press(self, name: str, within: str = "main") -> None:
        """Press the button or follow the link of this name."""
        named, part = re.compile(rf"^\s*{re.escape(name)}\s*$"), self.page.locator(within)
        await part.get_by_role("button", name=named).or_(part.get_by_role("link", name=named)).first.click()

    async def fill(self, **fields: str) -> None:
        """Type into fields by their names."""
        for name, value in fields.items():
            await self.page.locator(f"main [name={name}]:visible").first.fill(value)

    async def confirm(self, name: str) -> None:
        """Open the question of this name and answer yes."""
        question = self.page.locator("details.confirm", has=self.page.locator("summary", has_text=name)).first
        await question.locator("summary").click()
        await question.locator("button[type=submit]").click()

    async def says(self, text: str) -> None:
        """The page shows this text."""
        await self.page.locator("main").get_by_text(text).first.wait_for()

    async def mailed(self, subject: str, count: int = 1) -> str:
        """The link of the newest of `count` mails to the customer with these words in the subject, read in the mailbox."""
        window = await self.context.new_page()
        row = window.locator("tr", has_text=self.email).filter(has_text=subject)
        deadline = time.monotonic() + MAIL_SECONDS
        while True:
            await window.goto(f"{self.url}/dev/mailbox")
            if await row.count() >= count:
                break
            assert time.monotonic() < deadline, f"no mail {subject!r}"
            await window.wait_for_timeout(100)
        await row.first.get_by_role("link").click()
        link = await window.locator(".mail-text a").first.get_attribute("href")
        await window.close()
        return link or ""

    async def sign_up(self, organization: str = "") -> None:
        """From nothing to a proven address; the organization is open at the end if there is one."""
        await self.go("/")
        await self.press("Sign up", within="header")
        await self.fill(email=self.email, password=self.password, organization=organization)
        await self.press("Sign up")
        await self.says("A mail is on its way")
        await self.page.goto(await self.mailed("Confirm"))
        await self.fill(password=self.password)
        await self.press("Confirm and sign in")
        await self.says("Your address is confirmed")
        self.slug = self.page.url.partition("/o/")[2].partition("?")[0]

    async def sign_in(self) -> None:
        """With address and password."""
        await self.go("/sign-in")
        await self.fill(email=self.email, password=self.password)
        await self.press("Sign in")

    async def sign_out(self) -> None:
        """With the button of every page."""
        if await self.page.locator(".menu-switch.opens").is_visible():
            await self.page.locator(".menu-switch.opens").click()
        await self.press("Sign out", within=".who")
        await self.says("You are signed out")

    async def new_organization(self, name: str) -> None:
        """One more, which is the customer's from now on, with credits: the sign-up gives them to the first one alone."""
        await self.go("/organizations/new")
        await self.fill(name=name)
        await self.page.locator("main button[type=submit]").click()
        await self.says("The organization is ready")
        self.slug = self.page.url.partition("/o/")[2].partition("?")[0]
        async with operating(self.up) as connection:
            made = await fetch_organization(connection, self.slug)
            await grant(connection, made.id, amount_micro=MICRO, reason="to try things out")

    async def change_plan(self, name: str) -> None:
        """To a plan that applies at once."""
        await self.go("subscription")
        await self.press(f"Change to {name}")
        await self.says("The plan is changed")

    async def prove(self) -> None:
        """Show the password once more where the page asks for it."""
        if "/prove" in self.page.url:
            await self.fill(password=self.password)
            await self.press("Go on")

    async def new_key(self, name: str) -> tuple[str, str, str]:
        """A key made on its page: its plaintext, the curl line to try it, its path."""
        await self.go("keys/new")
        await self.fill(name=name)
        await self.press("Create key")
        return await self.shown_key()

    async def shown_key(self) -> tuple[str, str, str]:
        """What the page after making or rotating shows."""
        await self.says("This is the only time")
        key, curl = await self.page.locator("main .copyable code").all_text_contents()
        path = await self.page.get_by_role("link", name="I have copied it").get_attribute("href")
        return key, curl, path or ""


@contextlib.asynccontextmanager
async def operating(up: Up) -> AsyncIterator[Any]:
    """A connection for what only operators do."""
    connection = await asyncpg.connect(up.demo()["DATABASE_URL"])
    try:
        yield connection
    finally:
        await connection.close()


async def arrive(up: Up, browser: Browser, *, scripted: bool, name: str) -> Customer:
    """Somebody who has never been here, with or without JavaScript."""
    context = await browser.new_context(
        viewport={"width": 1280, "height": 800},
        java_script_enabled=scripted,
        extra_http_headers={"x-forwarded-for": own_address()},
    )
    context.set_default_timeout(SECONDS * 1000)
    page = await context.new_page()
    email = f"{name}-{secrets.token_hex(4)}@example.com"
    customer = Customer(up, browser, scripted, email, PASSWORD, context, page)
    watch(customer, context)
    return customer


def watch(customer: Customer, context: BrowserContext) -> None:
    """Note every 5xx, script error and console error of all windows of the context."""

    def answered(response: Response) -> None:
        if response.status >= 500:
            customer.wrong.append(f"{response.status} {response.url}")

    context.on("response", answered)
    context.on("weberror", lambda error: customer.wrong.append(str(error.error)))
    context.on(
        "console",
        lambda message: (
            customer.wrong.append(message.text)
            if message.type == "error" and "the server responded with a status of 4" not in message.text
            else None
        ),
    )


def run_curl(line: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body that a pasted curl line gets."""
    said = subprocess.run(["sh", "-c", f"{line} -sS -i -m 10"], capture_output=True, text=True, check=True).stdout
    head, _, body = said.partition("\n\n") if "\r\n" not in said else said.partition("\r\n\r\n")
    first, *rest = head.splitlines()
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    return int(first.split()[1]), headers, body


def seconds_until(condition: Callable[[], bool], limit: float) -> float:
    """How long it took until the condition held; fails after the limit."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < limit, f"not within {limit} s"
        time.sleep(0.02)
    return time.monotonic() - began
