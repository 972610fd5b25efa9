"""One portal for the tests of a worker, and a person who owns an organization."""

from collections.abc import AsyncIterator

import pytest

from tests.portals import Person, Portal, portal_settings, running_portal


@pytest.fixture(scope="session")
def mail_folder(tmp_path_factory):
    """Where the portal's mails go."""
    return tmp_path_factory.mktemp("mail")


@pytest.fixture(scope="session")
async def portal(database_url: str, redis_url: str, mail_folder) -> AsyncIterator[Portal]:
    """The portal on this worker's databases."""
    async with running_portal(portal_settings(database_url, redis_url, mail_folder)) as made:
        yield made


@pytest.fixture
async def owner(portal: Portal) -> Person:
    """Somebody who owns a new organization."""
    return await portal.person("owner")
