"""Show 4 in a test: the five stories of asynchronous operations; `python -m tests.drills.async_day` prints them."""

import pytest

from tests.async_jobs import dispatching, job_shop
from tests.drills.async_day import play

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


async def test_five_jobs_end_as_they_must(fresh_database_url: str, redis_url: str) -> None:
    async with job_shop(fresh_database_url, redis_url) as shop:
        with dispatching(shop):
            assert (await play(shop)).broken == []
