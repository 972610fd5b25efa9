"""Plans may have the longest name: who chooses among them sees nothing that is too wide."""

import pytest

from domain import plans
from domain.limit_texts import parse_limits
from tests.e2e.looks.inspecting import inspect_address, new_tab
from tests.e2e.looks.site import NEEDS_CHROMIUM, chromium, served

pytestmark = [pytest.mark.e2e, NEEDS_CHROMIUM]


async def test_the_subscription_fits_whatever_plans_are_called(fresh_database_url, redis_url, tmp_path):
    async with served(fresh_database_url, redis_url, tmp_path) as site, chromium() as browser:
        async with site.portal.pool.acquire() as connection:
            for number, name in enumerate(("Donaudampfschifffahrt" * 5, "many words " * 10, "Small")):
                limits = parse_limits(["999999999/hour", "5/second per key"])
                told = {"description": name.strip() * 4, "price_cents": 99_999_999}
                await plans.create(connection, slug=f"plan-{number}", name=name.strip(), limits=limits, **told)
        context = await site.context(browser, signed_in=True, width=1280, scheme="light")
        url = f"{site.url}/o/{site.person.organization.slug}/subscription"
        await inspect_address(*await new_tab(context), url)
