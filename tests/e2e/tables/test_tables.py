"""piccolo-admin in Chromium, under our policy: an operator looks, edits, is refused, and signs out."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import uvicorn
from playwright.async_api import Browser, Page, expect

from admin.web.cookies import SESSION
from cli.supervisor.ports import free_port
from domain import plans
from domain.limit_texts import parse_limits
from portal.web.cookies import cookie_name
from tests.admins import BackOffice, running_back_office
from tests.e2e.looks.site import NEEDS_CHROMIUM, chromium
from tests.portals import portal_settings

pytestmark = [NEEDS_CHROMIUM, pytest.mark.slow]

KNOWN = ("script-src assets/index", 'Missing required param "rowID"', '"undefined" is not valid JSON')
"""piccolo-admin asks once whether it may evaluate texts, in a `try`; it may not, and goes on. And between two tables whose
columns have other names it draws the rows of one with the columns of the other, until it has the new ones.
"""
expect.set_options(timeout=20_000)
REPORT = """document.addEventListener('securitypolicyviolation', event => console.error(
    'POLICY ' + event.effectiveDirective + ' ' + event.sourceFile.split('/tables/').pop().split('-')[0]))"""


@dataclass
class Window:
    """A browser's window, and what went wrong in it."""

    page: Page
    url: str
    wrong: list[str] = field(default_factory=list)

    def heard(self, text: str) -> None:
        """Keep an error of the page; an answer of 4xx is one only for the page itself, which tells of it."""
        if not any(known in text for known in (*KNOWN, "status of 4")):
            self.wrong.append(text)

    async def go(self, path: str) -> None:
        """Open a page of piccolo-admin."""
        await self.page.goto(f"{self.url}/tables/#/{path}")


@pytest.fixture
async def office(fresh_database_url, redis_url, tmp_path) -> AsyncIterator[BackOffice]:
    """The back office on a socket, with the rows of this test alone: pickers and lists show the first ones."""
    settings = portal_settings(fresh_database_url, redis_url, tmp_path)
    settings.admin = settings.admin.model_copy(update={"port": free_port()})
    async with running_back_office(settings) as office:
        config = uvicorn.Config(
            office.app, port=settings.admin.port, lifespan="off", log_level="warning", timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.02)
        yield office
        server.should_exit = True
        await task


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as made:
        yield made


async def opened(office: BackOffice, browser: Browser, role: str) -> Window:
    """A window in which an operator of that role is signed in."""
    operator = await office.operator(role)
    url = office.settings.admin.base_url
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    name = cookie_name(office.settings.admin, SESSION)
    await context.add_cookies([{"name": name, "value": operator.browser.client.cookies.get(name), "url": url}])
    window = Window(await context.new_page(), url)
    await window.page.add_init_script(REPORT)
    window.page.on("pageerror", lambda error: window.heard(str(error)))
    window.page.on("console", lambda said: window.heard(said.text) if said.type == "error" else None)
    window.page.on("response", lambda answer: window.wrong.append(answer.url) if answer.status >= 500 else None)
    window.page.set_default_timeout(20_000)
    return window


@pytest.fixture
async def plan(office: BackOffice) -> plans.PlanRecord:
    async with office.pool.acquire() as connection:
        number = await connection.fetchval("select count(*) from plan")
        return await plans.create(connection, slug=f"seen-{number}", limits=parse_limits(["10/hour"]))


async def test_an_operator_edits_a_plan_and_is_refused_where_nobody_may_write(office, browser, plan, tmp_path):
    window = await opened(office, browser, "superuser")
    page = window.page
    await window.go("")
    await expect(page.get_by_text("What is sold", exact=False).first).to_be_visible()
    await expect(page).to_have_title("Tables")
    await window.go("plan")
    await page.get_by_role("link", name=plan.slug, exact=True).click()
    await page.locator("[name=description]").first.fill("Words of an operator")
    await page.get_by_label("Why you change rows here").fill("Sie bat um klarere Wörter: €")
    await page.screenshot(path=tmp_path / "plan.png")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Successfully saved row")).to_be_visible()
    changed = "select after->>'description', reason from audit_entry where object_id = $1 and verb = 'table.change'"
    written = await office.pool.fetchrow(changed, str(plan.id))
    assert tuple(written) == ("Words of an operator", "Sie bat um klarere Wörter: €")
    await page.locator("[name=currency]").first.fill("EUR")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("plan.currency is not changed by hand", exact=False)).to_be_visible()
    row = await office.pool.fetchval("select id from audit_entry order by created_at desc limit 1")
    await window.go(f"audit_entry/{row}")
    await expect(page.get_by_label("Why you change rows here")).to_have_value("")
    await page.locator("[name=reason]").first.fill("other words")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("so nobody changes it", exact=False)).to_be_visible()
    await page.screenshot(path=tmp_path / "refused.png")
    assert window.wrong == []


async def test_a_limit_is_added_with_the_pickers(office, browser, plan):
    window = await opened(office, browser, "admin")
    page = window.page
    await window.go("plan_limit/add")
    await expect(page.locator("select[name=scope]").first).to_have_value("organization")  # what a new row begins with
    await page.locator("[name=name]").first.fill("minute")
    await page.locator("[name=amount]").first.fill("5")
    await page.locator("select[name=period]").select_option("minute")
    await page.locator("input[placeholder=None]").first.click()
    await page.get_by_text(plan.slug, exact=True).first.click()
    await page.get_by_role("button", name="Create").click()
    await expect(page.get_by_text("Successfully", exact=False).first).to_be_visible()
    async with office.pool.acquire() as connection:
        assert [limit.name for limit in (await plans.fetch_plan(connection, plan.slug)).limits] == ["minute", "hour"]
    assert window.wrong == []


async def test_every_table_opens_without_an_error_or_a_breach_of_the_policy(office, browser):
    window = await opened(office, browser, "superuser")
    await office.organization()
    await window.go("")
    tables = await window.page.evaluate("fetch('api/tables/').then(answer => answer.json())")
    assert len(tables) > 30
    for table in tables:
        await window.go(table)
        await window.page.get_by_role("heading", level=1).first.wait_for()
        await window.page.wait_for_load_state("networkidle")
        assert window.wrong == [], table


async def test_signing_out_there_is_signing_out_here(office, browser):
    window = await opened(office, browser, "analyst")
    page = window.page
    page.on("dialog", lambda dialog: dialog.accept())
    await window.go("plan")
    await page.get_by_text("user-").first.click()
    await page.locator("[data-uitest=logout_button]").click()
    await page.wait_for_url(re.compile("/sign-in"))
    await window.page.goto(f"{window.url}/tables/")
    assert "/sign-in" in page.url
    assert window.wrong == []
