"""Workers of a test's own: a database, a Redis prefix of nobody else, jobs that do what the test says."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace

import asyncpg
import pytest

from domain.job_settings import JobSettings
from domain.settings import DatabaseSettings, RedisSettings, SecretSettings, Settings
from jobs import registry
from jobs.engine import queue, upkeep
from jobs.engine.process import Process, opened
from jobs.registry import Job

SECRETS = f"1:{'33' * 32}"


def job_settings(database_url: str, redis_url: str, **changes) -> Settings:
    settings = Settings()
    settings.database = DatabaseSettings(url=database_url)
    settings.redis = RedisSettings(url=redis_url)
    settings.secrets = SecretSettings(keys=SECRETS)
    settings.jobs = JobSettings(**({"port": 0, "takeover_seconds": 1, "shutdown_seconds": 0.5} | changes))
    return settings


@pytest.fixture
async def settings(fresh_database_url, redis_url) -> AsyncIterator[Settings]:
    import redis

    yield job_settings(fresh_database_url, redis_url)
    with contextlib.closing(redis.Redis.from_url(redis_url)) as client:
        client.flushdb()


@pytest.fixture
async def own_pool(settings) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(settings.database.url.get_secret_value(), min_size=1, max_size=8) as made:
        yield made


@pytest.fixture
def own_jobs(monkeypatch) -> Callable[..., Job]:
    """Put a job of the test's own in the place of all others: `own_jobs("name", function, cron=...)`."""
    jobs: list[Job] = []

    class OwnJob(Job):
        __slots__ = ()

        def load(self):
            return functions[self.name]

    functions: dict[str, Callable] = {}

    def make(name: str, function: Callable, **changes) -> Job:
        values = {
            "name": name, "module": "none", "cron": "0 0 1 1 *", "time_zone": "UTC", "timeout_seconds": 30, "attempts": 3,
            "backoff_seconds": 1, "description": "A test's.",
        }  # fmt: skip
        functions[name] = function
        jobs.append(OwnJob(**(values | changes)))
        for module in (registry, queue, upkeep):
            monkeypatch.setattr(module, "JOBS", tuple(jobs))
        registry.BY_NAME[name] = jobs[-1]
        return jobs[-1]

    before = dict(registry.BY_NAME)
    registry.BY_NAME.clear()
    yield make
    registry.BY_NAME.clear()
    registry.BY_NAME.update(before)


@contextlib.asynccontextmanager
async def worker(settings: Settings) -> AsyncIterator[SimpleNamespace]:
    """A worker process, in this one."""
    stop = asyncio.Event()
    async with opened(settings) as context:
        process = Process(context)
        task = asyncio.create_task(process.run(stop))
        try:
            yield SimpleNamespace(process=process, context=context, stop=stop, task=task)
        finally:
            stop.set()
            await asyncio.wait_for(task, 20)


async def until(condition: Callable, seconds: float = 15.0):
    """Poll an async condition until it is true; what it said."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while not (found := await condition()):
        assert loop.time() - begun < seconds, "did not happen in time"
        await asyncio.sleep(0.05)
    return found


async def state_of(pool, run_id) -> str:
    return await pool.fetchval("select state from job_run where id = $1", run_id)
