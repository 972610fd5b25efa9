"""Real servers for every test: one PostgreSQL and one Valkey for the whole run, a database for each xdist worker.

Under xdist the controller starts them before the first worker; without it the first test that asks does.
Nothing of the caller's environment reaches the tests.
"""

import asyncio
import contextlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.util import Finalize
from pathlib import Path
from typing import TypeVar

import asyncpg
import hypothesis
import pytest

from cli.supervisor.services import EmbeddedServices
from tests.places import keep_bytecode, take_place

pytest_plugins = ["tests.leftovers", "tests.schedule", "tests.clickhouse.fixtures"]

# How long an example takes says more of the machine than of the code; pytest has a time-out for each test.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")

T = TypeVar("T")
PLACE, FAILED = pytest.StashKey[Path | None](), pytest.StashKey[bool]()
ROOT_FOLDER = Path(__file__).resolve().parent.parent
TEMPLATE = "migrated_template"
_OWN_NAMES = (
    "CREDITS_", "DATABASE_", "REDIS_", "KEY_", "GATEWAY_", "UPSTREAM_", "LOG_", "PORT_OFFSET", "PE_DATA_DIR",
    "ADMIN_", "PORTAL_", "MAIL_", "SECRET_", "OAUTH_",
    "WEBHOOK_", "JOBS_", "ALERT_", "ASYNC_", "OTEL_",
)  # fmt: skip

for _name in [name for name in os.environ if name.startswith(_OWN_NAMES)]:
    del os.environ[_name]
# Nor does the instance that runs in this clone: the programs that tests start look for theirs in a place that is not.
os.environ["PE_DATA_DIR"] = str(Path(tempfile.gettempdir()) / "paid-endpoint-tests-have-no-instance")


class Servers:
    """The run's servers, started at the first use."""

    def __init__(self) -> None:
        self._directory: Path | None = None
        self.services: EmbeddedServices | None = None

    def urls(self) -> tuple[str, str]:
        """DSN of the database `postgres` and Redis URL of database 0, of running servers."""
        if self.services is None:
            # Not below pytest's own temporary root: that one may be kept for three runs, and this is 50 MB.
            self._directory = Path(tempfile.mkdtemp(prefix="paid-endpoint-test-"))
            services = EmbeddedServices(self._directory / "data")
            services.__enter__()
            self.services = services
            in_own_thread(lambda: make_template(services.database_url))
        return self.services.database_url, self.services.redis_url

    def stop(self) -> None:
        """Stop what was started and remove its data."""
        if self.services is not None:
            self.services.__exit__()
            self.services = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)


SERVERS = Servers()


def in_own_thread(make: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine to its end away from pytest's own event loop."""

    async def run() -> T:
        return await make()

    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, run()).result()


async def make_template(server_url: str) -> None:
    """Make the database that every worker's is copied from: migrated once."""
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"create database {TEMPLATE}")
    await connection.close()
    if importlib.util.find_spec("domain.migrating"):
        from domain.migrating import migrate

        await migrate(database_of(server_url, TEMPLATE))


def database_of(server_url: str, name: str) -> str:
    """The DSN of another database of the same server."""
    return f"{server_url.rpartition('/')[0]}/{name}"


async def copy_template(server_url: str, name: str, template: str = TEMPLATE) -> str:
    """A new migrated database, or one that is as another; its DSN."""
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f"drop database if exists {name} with (force)")
        await connection.execute(f"create database {name} template {template}")
    finally:
        await connection.close()
    return database_of(server_url, name)


def pytest_configure(config: pytest.Config) -> None:
    """Before the first temporary file, and before the workers start, which keep theirs there too."""
    config.stash[PLACE] = take_place()
    keep_bytecode((config.stash[PLACE] or config.rootpath / ".pytest_cache") / "pyc")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    """Tell an xdist worker where the controller's servers are."""
    node.workerinput["server_urls"] = SERVERS.urls()


def pytest_terminal_summary(terminalreporter, exitstatus: int, config: pytest.Config) -> None:
    """Say where the files of failed tests are."""
    if exitstatus and config.stash[PLACE]:
        terminalreporter.write_line(f"what failed tests left is in {config.stash[PLACE]} until the next run")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no process, and no file but those of tests that failed."""
    SERVERS.stop()
    place = config.stash.get(PLACE, None)
    if place is not None and not config.stash.get(FAILED, False):
        # Behind what multiprocessing removes of its own in there, which is at -100.
        Finalize(None, shutil.rmtree, args=(place, True), exitpriority=-200)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep in mind how it went."""
    session.config.stash[FAILED] = bool(exitstatus)


@pytest.fixture(scope="session")
def worker_number(request: pytest.FixtureRequest) -> int:
    """0 without xdist, else the worker's number."""
    name = getattr(request.config, "workerinput", {}).get("workerid", "gw0")
    return int(name.removeprefix("gw"))


@pytest.fixture(scope="session")
def server_urls(request: pytest.FixtureRequest) -> tuple[str, str]:
    """DSN of the superuser's database and Redis URL of database 0; shared by all workers, so make your own inside."""
    given = getattr(request.config, "workerinput", {}).get("server_urls")
    return tuple(given) if given else SERVERS.urls()


@pytest.fixture(scope="session")
def database_url(server_urls: tuple[str, str], worker_number: int) -> str:
    """DSN of this worker's own migrated database."""
    return in_own_thread(lambda: copy_template(server_urls[0], f"worker_{worker_number}"))


@pytest.fixture
def fresh_database_url(server_urls: tuple[str, str], worker_number: int) -> Iterator[str]:
    """DSN of a migrated database that only this test sees."""
    name = f"fresh_{worker_number}"
    yield in_own_thread(lambda: copy_template(server_urls[0], name))
    in_own_thread(lambda: _drop(server_urls[0], name))


async def _drop(server_url: str, name: str) -> None:
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"drop database if exists {name} with (force)")
    await connection.close()


@pytest.fixture(scope="session")
def redis_url(server_urls: tuple[str, str], worker_number: int) -> str:
    """URL of this worker's own numbered Redis database, empty at the start of the session."""
    import redis

    url = f"{server_urls[1].rpartition('/')[0]}/{worker_number + 1}"
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        client.flushdb()
    return url


@pytest.fixture(scope="session")
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections to this worker's database."""
    async with asyncpg.create_pool(database_url, min_size=1, max_size=8) as made:
        yield made


@pytest.fixture
def embedded_services(tmp_path: Path) -> Iterator[EmbeddedServices]:
    """Servers of this test's own, for tests that kill or restart them."""
    with EmbeddedServices(tmp_path / "data") as services:
        yield services
    shutil.rmtree(tmp_path / "data")
