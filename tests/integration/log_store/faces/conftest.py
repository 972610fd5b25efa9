"""The portal and the back office on a database whose request logs are in ClickHouse alone when a page asks for them."""

from collections.abc import AsyncIterator

import pytest

from tests.admins import BackOffice, TestOperator, running_back_office
from tests.clickhouse.moving import moved_logs
from tests.clickhouse.server import ClickHouseServer
from tests.conftest import copy_template, in_own_thread
from tests.portals import Person, Portal, portal_settings, running_portal


@pytest.fixture(scope="session")
def own_database_url(server_urls: tuple[str, str], worker_number: int) -> str:
    """A database of these tests: others write rows that must stay where they are."""
    return in_own_thread(lambda: copy_template(server_urls[0], f"log_store_{worker_number}"))


@pytest.fixture(scope="session")
async def portal(
    own_database_url: str, redis_url: str, clickhouse: ClickHouseServer, tmp_path_factory
) -> AsyncIterator[Portal]:
    """The portal, reading ClickHouse."""
    settings = portal_settings(own_database_url, redis_url, tmp_path_factory.mktemp("mail"))
    async with (
        running_portal(settings) as made,
        moved_logs(made.app, own_database_url, clickhouse.url("faces")),
    ):
        yield made


@pytest.fixture
async def owner(portal: Portal) -> Person:
    """Somebody who owns a new organization."""
    return await portal.person("owner")


@pytest.fixture(scope="session")
async def office(
    own_database_url: str, redis_url: str, clickhouse: ClickHouseServer, tmp_path_factory
) -> AsyncIterator[BackOffice]:
    """The back office, reading ClickHouse."""
    settings = portal_settings(own_database_url, redis_url, tmp_path_factory.mktemp("mail"))
    async with (
        running_back_office(settings) as made,
        moved_logs(made.app, own_database_url, clickhouse.url("faces")),
    ):
        yield made


@pytest.fixture
async def superuser(office: BackOffice) -> TestOperator:
    """Somebody who may do everything."""
    return await office.operator("superuser")
