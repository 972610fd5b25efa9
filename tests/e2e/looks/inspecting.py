"""What every page must be in a real browser: valid, accessible (axe: nothing serious), within its policy, not too wide, at rest."""

import json
import re
from functools import lru_cache
from typing import Any

import html5lib
from axe_playwright_python.async_playwright import Axe

SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({type: "layout-shift", buffered: true});
"""
WIDTHS = [(1280, "light"), (390, "dark")]
NARROWEST = 320
GRAVE = {"serious", "critical"}
FIND = """
axe.run(document, {
  resultTypes: ["violations"],
  rules: Object.fromEntries(axe._audit.rules
    .filter((rule) => !grave.includes(rule.impact)).map((rule) => [rule.id, {enabled: false}])),
}).then((found) => found.violations)
"""
"""What is found says how grave it is, and it is as grave as its rule: the other rules need not be looked at."""
LOUD = {"error", "warning"}


async def new_tab(context: Any) -> tuple[Any, list[str]]:
    """A page of the context, and what it will have said on its console: warnings, errors, breaches of the policy."""
    page, said = await context.new_page(), []
    page.on("console", lambda message: said.append(message.text) if message.type in LOUD else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    await page.add_init_script(SHIFTS)
    await page.add_init_script(Axe().axe_script)  # once for all that it will show: half a megabyte
    return page, said


async def inspect_address(page: Any, said: list[str], url: str) -> None:
    """Open it in each width and colour and assert that nothing is wrong."""
    said.clear()
    for width, scheme in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 844})
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        answer = await page.goto(url, wait_until="load")
        assert answer.status == 200, url
        assert problems_of(await answer.text()) == []
        await inspect_open(page, f"{url} at {width}, {scheme}")
        assert said == []
        assert await page.evaluate("window.shifted") < 0.05


async def inspect_narrow(page: Any, url: str) -> None:
    """Assert that the page that is open fits the narrowest window that pages must fit without scrolling sideways (WCAG 1.4.10)."""
    await page.set_viewport_size({"width": NARROWEST, "height": 844})
    await _require_fitting(page, f"{url} at {NARROWEST}")


async def inspect_open(page: Any, where: str) -> None:
    """Assert that the page as it is shown now is not too wide and has no grave fault."""
    await _require_fitting(page, where)
    assert await grave_findings(page) == [], where


async def _require_fitting(page: Any, where: str) -> None:
    sideways = await page.evaluate("document.scrollingElement.scrollWidth - window.innerWidth")
    assert sideways <= 0, f"{where}: {sideways} px too wide"


@lru_cache(maxsize=1)  # the markup seldom knows the width
def _parsed(html: str) -> list[str]:
    """Faults that html5lib's strict parser finds."""
    parser = html5lib.HTMLParser(strict=False)
    parser.parse(html)
    return [f"{position}: {code}" for position, code, _ in parser.errors]


def problems_of(html: str) -> list[str]:
    """What is wrong with the markup: by html5lib's strict parser, and by what no parser minds."""
    found = list(_parsed(html))
    ids = re.findall(r'\sid="([^"]+)"', html)
    found += [f"id {name} stands there twice" for name in {name for name in ids if ids.count(name) > 1}]
    labels = set(re.findall(r'<label[^>]*\sfor="([^"]+)"', html))
    found += [f"label for {name}, which is not there" for name in labels - set(ids)]
    if len(re.findall(r"<h1[\s>]", html)) != 1:
        found.append("not exactly one h1")
    if re.search(r'\sstyle="|\son\w+="|javascript:', html):
        found.append("an inline style or script")
    return found


async def grave_findings(page: Any) -> list[str]:
    """What axe finds on the page that is serious or critical."""
    return [
        json.dumps([rule["id"], rule["help"], [node["html"][:200] for node in rule["nodes"]]], indent=1)
        for rule in await page.evaluate(f"grave => {FIND.strip()}", sorted(GRAVE))
        if rule["impact"] in GRAVE
    ]
