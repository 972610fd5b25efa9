"""Jobs are sent by portal processes, unless they are told not to."""

import asyncio
from pathlib import Path

import pytest

from domain.async_settings import AsyncSettings
from portal.dispatching import dispatch_jobs
from tests.async_jobs import job_shop, secret_settings
from tests.portals import portal_settings, running_portal


@pytest.mark.parametrize("sends", [True, False])
async def test_a_portal_sends_jobs_if_it_may(
    fresh_database_url: str, redis_url: str, tmp_path: Path, *, sends: bool
) -> None:
    async with job_shop(fresh_database_url, redis_url) as shop:
        customer = await shop.customer()
        job_id = await customer.start()
        settings = portal_settings(fresh_database_url, redis_url, tmp_path)
        settings.secrets = secret_settings()
        settings.asynchronous = AsyncSettings(dispatch=sends, callback_url="https://api.example.com/")
        async with running_portal(settings, tasks=(dispatch_jobs,)):
            if sends:
                await customer.until(job_id, "processing")
                assert shop.sent()[0].callback_url == f"https://api.example.com/callbacks/jobs/{job_id}"
            else:
                await asyncio.sleep(2)
                assert shop.sent() == []
                assert (await customer.job(job_id))["status"] == "pending"
