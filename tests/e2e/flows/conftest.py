"""One product for all flows, and a customer who is made once with JavaScript and once without."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from domain import plans
from domain.limit_texts import parse_limits
from tests.e2e.flows.customer import Customer, arrive, operating
from tests.e2e.flows.operator import Operator, appointed
from tests.e2e.looks.site import chromium
from tests.e2e.up import Up, made_up

PLANS = {"e2e-tiny": ("Tiny", "2/minute"), "e2e-roomy": ("Roomy", "5000/hour")}
"""Free plans that the seed has not: slug, name, limit. Both above the plan of a sign-up, so that changing is at once."""


@pytest.fixture(scope="session")
async def up(tmp_path_factory: pytest.TempPathFactory, worker_number: int) -> AsyncIterator[Up]:
    with made_up(tmp_path_factory.mktemp("flows"), worker_number) as made:
        # Everybody of the flows comes from an address of their own, as mails are counted by address.
        made.settings["PORTAL_TRUSTED_PROXIES"] = "127.0.0.1/32"
        made.start()
        async with operating(made) as connection:
            for slug, (name, limit) in PLANS.items():
                await plans.create(connection, slug=slug, name=name, limits=parse_limits([limit]), sort_order=15)
        yield made
        made.stop()


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as made:
        yield made


@pytest.fixture(scope="session", params=[True, False], ids=["scripted", "plain"])
def scripted(request: pytest.FixtureRequest) -> bool:
    """Whether JavaScript runs."""
    return request.param


@pytest.fixture(scope="session")
async def shared(up: Up, browser: Browser, scripted: bool) -> AsyncIterator[Customer]:
    customer = await arrive(up, browser, scripted=scripted, name="owner")
    await customer.sign_up("Acme Weather")
    yield customer
    await customer.context.close()


@pytest.fixture
async def customer(shared: Customer) -> AsyncIterator[Customer]:
    """Somebody with an address that is proven and an organization, signed in; nothing went wrong at the end."""
    await shared.go("/account")
    if "/sign-in" in shared.page.url:
        await shared.sign_in()
        await shared.page.wait_for_url("**/o/**")
    home = shared.slug
    yield shared
    shared.slug = home
    wrong, shared.wrong[:] = list(shared.wrong), []
    assert wrong == []


@pytest.fixture
async def stranger(up: Up, browser: Browser, scripted: bool) -> AsyncIterator[Customer]:
    """Somebody who has never been here; nothing went wrong at the end."""
    newcomer = await arrive(up, browser, scripted=scripted, name="stranger")
    yield newcomer
    await newcomer.context.close()
    assert newcomer.wrong == []


@pytest.fixture(scope="session")
async def on_duty(up: Up, browser: Browser, scripted: bool) -> AsyncIterator[Operator]:
    made = await appointed(up, browser, scripted=scripted)
    await made.sign_in()
    await made.set_up_factor()
    yield made
    await made.context.close()


@pytest.fixture
async def operator(on_duty: Operator) -> AsyncIterator[Operator]:
    """A superuser with a second factor, signed in; nothing went wrong at the end."""
    yield on_duty
    wrong, on_duty.wrong[:] = list(on_duty.wrong), []
    assert wrong == []
