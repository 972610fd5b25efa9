"""A customer's job from an empty page to its result: it moves while they look, and without a script when they reload."""

import pytest

from tests.e2e.flows.customer import Customer, operating
from tests.e2e.looks.site import NEEDS_CHROMIUM
from tests.job_rows import asynchronous_operation, write_job

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    NEEDS_CHROMIUM,
]
COMPLETE = """
update async_job set status = 'completed', progress = 100, result = '{"pages": 4}', result_type = 'application/json',
       charged_micro = price_micro, ended_at = now(), working = false where id = $1
"""


async def seen(customer: Customer, words: str) -> None:
    """Wait until the words are there: by themselves with a script, else by reloading once."""
    if not customer.scripted:
        await customer.press("Reload")
    await customer.says(words)


async def test_a_job_moves_while_its_customer_looks(customer: Customer) -> None:
    async with operating(customer.up) as connection:
        operation = await asynchronous_operation(connection)
        await customer.go("jobs")
        await customer.says("No jobs yet")
        organization_id = await connection.fetchval("select id from organization where slug = $1", customer.slug)
        job_id = await write_job(connection, organization_id, operation, status="processing")
        await customer.go("jobs")
        await customer.page.locator(f"a[href$='/jobs/{job_id}']").click()
        await customer.says("page 2 of 5")
        await connection.execute("update async_job set progress = 80, message = 'page 4 of 5' where id = $1", job_id)
        await seen(customer, "page 4 of 5")
        await connection.execute(COMPLETE, job_id)
        await seen(customer, "2 credits were charged")
        assert await customer.page.locator("[data-refresh]").count() == 0, "nothing is fetched any more"
        async with customer.page.expect_download() as download:
            await customer.press("Download")
        saved = await (await download.value).path()
        assert saved.read_bytes() == b'{"pages": 4}'
        assert (await download.value).suggested_filename == f"job-{job_id}.json"
        await connection.execute("delete from service where slug = $1", operation.service_slug)
