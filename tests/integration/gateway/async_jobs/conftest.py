"""A shop whose service does jobs, through both doors, with a dispatcher that runs beside it."""

from collections.abc import AsyncIterator

import pytest

from tests.async_jobs import Customer, JobShop, dispatching, job_shop
from tests.conftest import copy_template, in_own_thread
from tests.doors import BOTH


@pytest.fixture(scope="package", params=BOTH)
async def shop(
    server_urls: tuple[str, str], redis_url: str, worker_number: int, request: pytest.FixtureRequest
) -> AsyncIterator[JobShop]:
    url = in_own_thread(lambda: copy_template(server_urls[0], f"async_{request.param}_{worker_number}"))
    settings = {"GATEWAY_DOOR": request.param, "ASYNC_MAX_BODY_BYTES": "100000", "ASYNC_MAX_RESULT_BYTES": "50000"}
    async with job_shop(url, redis_url, **settings) as opened:
        with dispatching(opened, ASYNC_MAX_RESULT_BYTES="50000"):
            yield opened


@pytest.fixture
async def customer(shop: JobShop) -> Customer:
    return await shop.customer()
