"""One back office for the tests of a worker, and a superuser."""

from collections.abc import AsyncIterator

import pytest

from tests.admins import BackOffice, TestOperator, running_back_office
from tests.portals import portal_settings


@pytest.fixture(scope="session")
async def office(database_url: str, redis_url: str, tmp_path_factory) -> AsyncIterator[BackOffice]:
    """The back office on this worker's databases; a second factor is not required."""
    settings = portal_settings(database_url, redis_url, tmp_path_factory.mktemp("mail"))
    async with running_back_office(settings) as made:
        yield made


@pytest.fixture
async def superuser(office: BackOffice) -> TestOperator:
    """Somebody who may do everything."""
    return await office.operator("superuser")
