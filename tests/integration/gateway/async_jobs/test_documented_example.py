"""The example of docs/asynchronous-operations.md is run as it stands; and what an operator does to a real job."""

import asyncio
import re
import urllib.error
from pathlib import Path

import pytest

from domain import audit
from domain.async_jobs.reading import fetch_anybodys_job
from domain.operating.async_jobs import cancel
from tests.async_jobs import Customer, JobShop, behind
from tests.integration.gateway.async_jobs.test_stories import sent_once

PAGE = Path(__file__).resolve().parents[4] / "docs" / "asynchronous-operations.md"
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
OPERATOR = audit.Actor("operator", 1, "olga@example.com")


@pytest.fixture
def report(shop: JobShop, monkeypatch):
    """`report` of the page, with the shop's secret."""
    monkeypatch.setenv("CALLBACK_SECRET", shop.secret)
    [block] = BLOCK.findall(PAGE.read_text())
    scope: dict = {}
    exec(compile(block, PAGE.name, "exec"), scope)
    return lambda *words, **said: asyncio.to_thread(scope["report"], *words, **said)


async def test_the_page_shows_how_to_report(shop: JobShop, customer: Customer, report) -> None:
    job_id = await customer.start()
    await sent_once(shop, customer)
    url = shop.sent(behind(customer.target("job")))[0].callback_url
    noted = await report(job_id, url, status="processing", progress=40, message="summer, 2 of 4")
    assert noted == {"id": job_id, "status": "processing", "progress": 40}
    done = await report(job_id, url, status="completed", result={"pages": 4})
    assert done == {"id": job_id, "status": "completed", "progress": 100}
    assert await report(job_id, url, status="completed", result={"pages": 4}) == done
    assert await customer.money() == (95, 0, 5)


async def test_what_an_operator_cancelled_is_not_charged_whatever_the_service_says_then(
    shop: JobShop, customer: Customer, report
) -> None:
    job_id = await customer.start()
    await sent_once(shop, customer)
    url = shop.sent(behind(customer.target("job")))[0].callback_url
    async with shop.pool.acquire() as connection:
        job = await fetch_anybodys_job(connection, job_id)
        async with connection.transaction():
            await cancel(connection, OPERATOR, job, said="The printer broke.", reason="ticket 4711")
    told = await customer.job(job_id)
    assert (told["status"], told["reason"], told["error"]) == ("failed", "cancelled", "The printer broke.")
    with pytest.raises(urllib.error.HTTPError) as refused:
        await report(job_id, url, status="completed", result={"pages": 4})
    with refused.value as answer:
        assert answer.code == 409
    assert await customer.money() == (100, 0, 0)
    assert await shop.drifts() == []
