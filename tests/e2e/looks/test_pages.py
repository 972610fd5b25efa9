"""Every page of the portal in a real browser, as `inspecting` says."""

import pytest

from tests.e2e.looks.inspecting import inspect_address, inspect_narrow, new_tab
from tests.e2e.looks.site import NEEDS_CHROMIUM, chromium, filled, page_paths, served

pytestmark = [
    pytest.mark.e2e,
    NEEDS_CHROMIUM,
]


@pytest.fixture(scope="module")
async def site(database_url, redis_url, tmp_path_factory):
    async with served(database_url, redis_url, tmp_path_factory.mktemp("mail")) as made:
        yield made


@pytest.fixture(scope="module")
async def browser():
    async with chromium() as made:
        yield made


@pytest.fixture(scope="module")
async def tabs(site, browser):
    """A tab of somebody who is signed in, and one of nobody, each with what it said since it was asked."""
    made = {}
    for signed_in in (True, False):
        context = await site.context(browser, signed_in=signed_in, width=1280, scheme="light")
        made[signed_in] = await new_tab(context)
    yield made
    for page, _ in made.values():
        await page.context.close()


@pytest.mark.parametrize(("path", "signed_in"), page_paths())
async def test_page(site, tabs, path, signed_in):
    url = filled(path, site)
    if url is None:
        pytest.fail(f"nothing fills {path}: add it to belongings.py")
    await inspect_address(*tabs[signed_in], site.url + url)
    await inspect_narrow(tabs[signed_in][0], url)
