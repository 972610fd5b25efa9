"""Every page in a real browser: valid, accessible (axe: nothing serious), within its policy, without sideways scrolling or shifts."""

import json
import re
from pathlib import Path

import html5lib
import pytest
from axe_playwright_python.async_playwright import Axe

from tests.e2e.looks.site import CHROMIUM, chromium, filled, page_paths, served

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs the distribution's Chromium"),
]
SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({type: "layout-shift", buffered: true});
"""
WIDTHS = [(1280, "light"), (390, "dark")]
GRAVE = {"serious", "critical"}


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


@pytest.mark.parametrize(("width", "scheme"), WIDTHS)
@pytest.mark.parametrize(("path", "signed_in"), page_paths())
async def test_page(site, browser, path, signed_in, width, scheme):
    url = filled(path, site)
    if url is None:
        pytest.fail(f"nothing fills {path}: add it to belongings.py")
    context = await site.context(browser, signed_in=signed_in, width=width, scheme=scheme)
    try:
        page = await context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        await page.add_init_script(SHIFTS)
        answer = await page.goto(site.url + url, wait_until="load")
        assert answer.status == 200, url
        assert problems_of(await answer.text()) == []
        sideways = await page.evaluate("document.scrollingElement.scrollWidth - window.innerWidth")
        assert sideways <= 0, f"{url} is {sideways} px too wide"
        results = (await Axe().run(page)).response
        grave = [
            (rule["id"], rule["help"], [node["html"][:200] for node in rule["nodes"]])
            for rule in results["violations"]
            if rule["impact"] in GRAVE
        ]
        assert grave == [], json.dumps(grave, indent=1)
        assert said == []
        assert await page.evaluate("window.shifted") < 0.05
    finally:
        await context.close()
