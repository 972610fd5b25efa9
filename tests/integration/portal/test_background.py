"""What runs beside the portal's requests goes on, whatever it met: mails and webhooks do not stop in silence."""

import asyncio
import logging

import asyncpg
import pytest

from domain import outbox
from domain.mailing import Mailer
from domain.portal_settings import MailSettings
from jobs.engine.process import Process, opened
from portal import background
from tests.deadlines import until
from tests.integration.jobs.conftest import job_settings

LOST = asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")


class LosesOnce:
    """A pool whose connection is lost in the middle of the first statements, as asyncpg then says it."""

    def __init__(self, pool, times: int) -> None:
        self._pool, self.left = pool, times

    def __getattr__(self, name):
        if self.left:
            self.left -= 1
            raise LOST
        return getattr(self._pool, name)


@pytest.fixture
async def own_pool(fresh_database_url):
    async with asyncpg.create_pool(fresh_database_url, min_size=1) as made:
        yield made


async def test_what_broke_begins_anew_and_says_so(monkeypatch, caplog):
    monkeypatch.setattr(background, "AGAIN_SECONDS", 0.05, raising=False)
    begun = []

    async def breaks(services):
        begun.append(services)
        if len(begun) < 3:
            raise ValueError("a mail that nobody thought of")
        await asyncio.sleep(60)

    with caplog.at_level(logging.ERROR):
        async with background.running("services", (breaks,)):
            await until(lambda: len(begun) == 3, 5, "the third beginning")
    assert caplog.text.count("breaks broke, and begins anew") == 2


async def test_a_mailer_whose_connection_is_lost_in_the_middle_goes_on(
    own_pool, fresh_database_url, redis_url, tmp_path, monkeypatch
):
    monkeypatch.setattr("domain.mailing.AFTER_FAULT_SECONDS", 0.05)
    settings = job_settings(fresh_database_url, redis_url)
    settings.mail = MailSettings(folder=tmp_path)
    await outbox.post_mail(own_pool, settings.secrets, template="test_mail", to="a@example.com", values={"email": "a"})
    task = asyncio.create_task(Mailer(LosesOnce(own_pool, 2), settings).run())
    try:
        await until(lambda: list(tmp_path.glob("*.eml")), 5, "the mail")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_job_worker_whose_connection_is_lost_in_the_middle_goes_on(own_pool, fresh_database_url, redis_url):
    stop = asyncio.Event()
    async with opened(job_settings(fresh_database_url, redis_url)) as context:
        object.__setattr__(context, "database", LosesOnce(own_pool, 1))
        process = Process(context)
        task = asyncio.create_task(process.run(stop))
        await until(lambda: process.health.answer("/ready")[0] == 200 or task.done(), 10, "the worker is ready")
        stop.set()
        await task
