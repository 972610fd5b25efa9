"""Every page of the back office in a real browser, as `inspecting` says: with long names and much, and on a fresh installation."""

import pytest

from domain.random_tokens import new_token
from tests.conftest import copy_template
from tests.e2e.looks.inspecting import inspect_address, inspect_open, new_tab, problems_of
from tests.e2e.looks.office import addresses, served_office
from tests.e2e.looks.office_objects import LONG_NAME, office_objects
from tests.e2e.looks.site import NEEDS_CHROMIUM, chromium
from tests.portals import portal_settings

pytestmark = [
    pytest.mark.e2e,
    NEEDS_CHROMIUM,
]
IN_A_FRESH_INSTALLATION = [
    one for one in addresses() if not one.needs_object and not one.pattern.startswith("/actions/")
]


@pytest.fixture(scope="module")
async def browser():
    async with chromium() as made:
        yield made


@pytest.fixture(scope="module")
async def full(database_url, redis_url, tmp_path_factory):
    """A back office with one of everything, each with the longest name that it may have."""
    async with served_office(portal_settings(database_url, redis_url, tmp_path_factory.mktemp("mail"))) as site:
        site.objects = await office_objects(site)
        yield site


@pytest.fixture(scope="module")
async def fresh(server_urls, redis_url, tmp_path_factory):
    """A back office that nobody has used yet."""
    url = await copy_template(server_urls[0], f"fresh_office_{new_token().text[:6].lower().replace('-', '_')}")
    async with served_office(portal_settings(url, redis_url, tmp_path_factory.mktemp("mail"))) as site:
        yield site


@pytest.fixture(scope="module")
async def tabs(browser):
    """Tabs by site and whether somebody is signed in, opened when they are asked for."""
    made = {}

    async def tab(site, *, signed_in):
        if (site.url, signed_in) not in made:
            context = await site.context(browser, signed_in=signed_in, width=1280, scheme="light")
            made[site.url, signed_in] = await new_tab(context)
        return made[site.url, signed_in]

    yield tab
    for page, _ in made.values():
        await page.context.close()


@pytest.mark.parametrize("address", addresses(), ids=str)
async def test_page_with_long_names_and_much(full, tabs, address):
    path = address.path(full.objects)
    if path is None:
        pytest.fail(f"nothing fills {address.pattern}: add it to office_objects.py")
    await inspect_address(*await tabs(full, signed_in=address.signed_in), full.url + path)


@pytest.mark.parametrize("address", IN_A_FRESH_INSTALLATION, ids=str)
async def test_page_of_a_fresh_installation(fresh, tabs, address):
    await inspect_address(*await tabs(fresh, signed_in=address.signed_in), fresh.url + (address.path({}) or ""))


async def test_a_preview_and_its_outcome(full, tabs):
    page, said = await tabs(full, signed_in=True)
    said.clear()
    slug = full.objects["/organizations/{slug}"]
    await page.goto(f"{full.url}/actions/override-limit?organization={slug}&limit=hour")
    await page.fill("[name=amount]", "999999999999")
    await page.click("#form button[type=submit]")
    await page.locator(".preview").wait_for()
    assert LONG_NAME in await page.locator(".preview").inner_text()
    await _in_both_widths(page, "a preview")
    await page.fill("[name=reason]", "r" * 500)
    await page.click(".preview form button[type=submit]")
    await page.get_by_text("It stands in the audit").wait_for()
    await _in_both_widths(page, "an outcome")
    assert said == []


async def _in_both_widths(page, where):
    assert problems_of(await page.content()) == []
    for width, scheme in ((390, "dark"), (1280, "light")):
        await page.set_viewport_size({"width": width, "height": 844})
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await inspect_open(page, f"{where} at {width}, {scheme}")
