"""An operator at a real browser: the way in with a second factor, finding, and actions as their forms lead through them."""

import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import pyotp
from playwright.async_api import Browser, Response

from domain.passwords import hash_password
from tests.e2e.flows.customer import PASSWORD, SECONDS, Customer, operating, watch
from tests.e2e.up import Up

STEP_SECONDS = 30


@dataclass(frozen=True)
class Client:
    """An organization that the operator made, with a key of it."""

    name: str
    slug: str
    key: str

    @property
    def prefix(self) -> str:
        """What a page shows of the key."""
        return self.key[:16]


@dataclass
class Operator(Customer):
    """One operator in one browser window. `reasons` are those of every action that was carried out, in their order."""

    authenticator: pyotp.TOTP | None = None
    used_step: int = 0
    reasons: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the back office is."""
        return self.up.demo()["ADMIN_URL"].replace("127.0.0.1", "localhost")

    async def set_up_factor(self) -> None:
        """From the warning that stands on every page, to the recovery codes that are kept."""
        await self.press("Set up a second factor.")
        await self.fill(password=self.password)
        await self.press("Begin")
        secret = await self.page.locator(".copyable code").first.inner_text()
        self.authenticator = pyotp.TOTP(secret.replace(" ", ""))
        await self.fill(code=self.code())
        await self.press("Switch on")
        await self.says("Keep these codes")
        await self.press("I have kept them")

    def code(self) -> str:
        """One that was not shown before; the authenticator is asked of the future where this half minute's is used up."""
        assert self.authenticator is not None
        self.used_step = max(int(time.time()) // STEP_SECONDS, self.used_step + 1)
        return self.authenticator.at(self.used_step * STEP_SECONDS)

    async def look_up(self, text: str) -> None:
        """Type it into the field that every page has."""
        if await self.page.locator(".menu-switch.opens").is_visible():
            await self.page.locator(".menu-switch.opens").click()
        await self.page.locator("#find-anything").fill(text)
        await self.page.locator("#find-anything").press("Enter")
        await self.page.wait_for_load_state()

    async def preview(self, **values: str) -> str:
        """Fill in the action's form that is open and look: what would happen, as it reads."""
        for name, value in values.items():
            field_ = self.page.locator(f"#form [name={name}]")
            if await field_.evaluate("field => field.tagName") == "SELECT":
                await field_.select_option(value)
            else:
                await field_.fill(value)
        await self.press("Show what will happen", within="#form")
        return await self.page.locator(".preview").inner_text()

    async def carry_out(self, reason: str) -> None:
        """Do what the preview says, for the reason."""
        await self.fill(reason=reason)
        await self.page.locator(".preview form button[type=submit]").click()
        await self.says("It stands in the audit")
        self.reasons.append(reason)

    async def act(self, path: str, reason: str, **values: str) -> str:
        """Open an action, look, do it; what the preview said."""
        await self.go(f"/actions/{path}")
        said = await self.preview(**values)
        await self.carry_out(reason)
        return said

    async def client(self, name: str, plan: str, *, bonus: str = "", owner: str = "") -> Client:
        """A new organization with a key, made by the actions."""
        made = {"owner": owner, "bonus": bonus}
        await self.act(
            "create-organization", f"asked for {name}", name=name, plan=plan, **{k: v for k, v in made.items() if v}
        )
        link = self.page.get_by_role("link", name=re.compile(f"^To {name}"))
        slug = (await link.get_attribute("href") or "").rpartition("/")[2]
        await self.press("Mint a key")
        await self.preview(name=f"first key of {name}")
        await self.carry_out(f"they have none yet, {name}")
        return Client(name, slug, await self.page.locator("main .copyable code").first.inner_text())

    async def open_request(self, request_id: str) -> Response | None:
        """The page of a request, as soon as it is stored."""
        deadline = time.monotonic() + SECONDS
        while True:
            answer = await self.page.goto(f"{self.url}/requests/{request_id}")
            if answer is not None and answer.status == 200:
                return answer
            assert time.monotonic() < deadline, "the request is not in the logs"
            await self.page.wait_for_timeout(100)


async def appointed(up: Up, browser: Browser, *, scripted: bool, role: str = "superuser") -> Operator:
    """A new operator before the first sign-in."""
    email = f"{role}-{secrets.token_hex(4)}@example.com"
    async with operating(up) as connection:
        await connection.execute(
            "insert into users (username, email, password, active, email_verified_at, operator_role, admin, superuser)"
            " values ($1, $1, $2, true, now(), $3, true, $3 = 'superuser')",
            email,
            await hash_password(PASSWORD),
            role,
        )
    size: Any = {"width": 1280, "height": 900}
    context = await browser.new_context(viewport=size, java_script_enabled=scripted)
    context.set_default_timeout(SECONDS * 1000)
    made = Operator(up, browser, scripted, email, PASSWORD, context, await context.new_page())
    watch(made, context)
    return made
