"""The API does what its description says: schemathesis, all checks, nothing found."""

import pytest

from tests.e2e.contract.run import contract
from tests.e2e.looks.site import served

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]


async def test_the_api_keeps_its_contract(database_url, redis_url, tmp_path):
    async with served(database_url, redis_url, tmp_path) as site:
        verdict = await contract(site, examples=3, seed=1)
    assert verdict.status == 0, verdict.text[-20_000:]
    print(verdict.cases)
