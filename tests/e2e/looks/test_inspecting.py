"""What `inspecting` finds: without this, all the tests that find nothing would show nothing."""

import pytest

from tests.e2e.looks.inspecting import grave_findings, new_tab
from tests.e2e.looks.site import NEEDS_CHROMIUM, chromium

pytestmark = [pytest.mark.e2e, NEEDS_CHROMIUM]

FAULTS = """<!doctype html><html lang="en"><title>Faults</title><main><h1>Faults</h1><h4>Too deep</h4>
<p style="color:#ccc;background:#fff">pale</p><img src="data:,"><input></main></html>"""


async def test_what_is_grave_is_found_and_what_is_not_is_left_alone():
    async with chromium() as browser:
        page, _ = await new_tab(await browser.new_context())
        await page.goto("data:text/html," + FAULTS.replace("#", "%23"))
        found = await grave_findings(page)
        await page.context.close()
    assert sorted(one.split('"')[1] for one in found) == ["color-contrast", "image-alt", "label"]
