"""Every page in a real browser: valid, accessible (axe: nothing serious), within its policy, without sideways scrolling or shifts."""

import json
import re

import html5lib
import pytest
from axe_playwright_python.async_playwright import Axe

from tests.e2e.looks.site import NEEDS_CHROMIUM, chromium, filled, page_paths, served

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("looks"),
    NEEDS_CHROMIUM,
]
SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({type: "layout-shift", buffered: true});
"""
WIDTHS = [(1280, "light"), (390, "dark")]
GRAVE = {"serious", "critical"}
LOUD = {"error", "warning"}


@pytest.fixture(scope="module")
async def site(database_url, redis_url, tmp_path_factory):
    async with served(database_url, redis_url, tmp_path_factory.mktemp("mail")) as made:
        yield made


@pytest.fixture(scope="module")
async def browser():
    async with chromium() as made:
        yield made


def problems_of(html: str) -> list[str]:
    """What is wrong with the markup: by html5lib's strict parser, and by what no parser minds."""
    parser = html5lib.HTMLParser(strict=False)
    parser.parse(html)
    found = [f"{position}: {code}" for position, code, _ in parser.errors]
    ids = re.findall(r'\sid="([^"]+)"', html)
    found += [f"id {name} stands there twice" for name in {name for name in ids if ids.count(name) > 1}]
    labels = set(re.findall(r'<label[^>]*\sfor="([^"]+)"', html))
    found += [f"label for {name}, which is not there" for name in labels - set(ids)]
    if len(re.findall(r"<h1[\s>]", html)) != 1:
        found.append("not exactly one h1")
    if re.search(r'\sstyle="|\son\w+="|javascript:', html):
        found.append("an inline style or script")
    return found


@pytest.fixture(scope="module")
async def tabs(site, browser):
    """A tab of somebody who is signed in, and one of nobody, each with what it said since it was asked."""
    made = {}
    for signed_in in (True, False):
        context = await site.context(browser, signed_in=signed_in, width=1280, scheme="light")
        page, said = await context.new_page(), []
        page.on("console", lambda message, said=said: said.append(message.text) if message.type in LOUD else None)
        page.on("pageerror", lambda error, said=said: said.append(str(error)))
        await page.add_init_script(SHIFTS)
        made[signed_in] = page, said
    yield made
    for page, _ in made.values():
        await page.context.close()


@pytest.mark.parametrize(("path", "signed_in"), page_paths())
async def test_page(site, tabs, path, signed_in):
    url = filled(path, site)
    if url is None:
        pytest.fail(f"nothing fills {path}: add it to belongings.py")
    page, said = tabs[signed_in]
    said.clear()
    for width, scheme in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 844})
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        answer = await page.goto(site.url + url, wait_until="load")
        assert answer.status == 200, url
        assert problems_of(await answer.text()) == []
        sideways = await page.evaluate("document.scrollingElement.scrollWidth - window.innerWidth")
        assert sideways <= 0, f"{url} is {sideways} px too wide at {width}"
        assert await grave_findings(page) == [], f"{url} at {width}, {scheme}"
        assert said == []
        assert await page.evaluate("window.shifted") < 0.05


async def grave_findings(page) -> list[str]:
    """What axe finds on the page that is serious or critical."""
    return [
        json.dumps([rule["id"], rule["help"], [node["html"][:200] for node in rule["nodes"]]], indent=1)
        for rule in (await Axe().run(page)).response["violations"]
        if rule["impact"] in GRAVE
    ]
