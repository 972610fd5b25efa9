"""/metrics of a worker process of jobs: its runs, and what waits in PostgreSQL and Redis."""

import asyncio

from domain.audit import Actor
from domain.job_queue import queue_depth
from domain.job_runs import publish, request_run
from domain.redis_client import open_client
from jobs.engine import metrics
from jobs.engine.metrics import JobMetrics
from jobs.engine.process import opened
from jobs.engine.queue import add, open_queue
from jobs.registry import BY_NAME, JOBS
from tests.integration.observing.scraping import of, samples, samples_of, scraped, worker_with_port

RUNS = "paid_endpoint_job_runs_total"


async def seen(port, wanted):
    """The samples, as soon as they are as wanted."""
    async with asyncio.timeout(40):
        while not wanted(found := await samples(port)):
            await asyncio.sleep(0.2)
    return found


async def ask(pool, name):
    async with pool.acquire() as connection:
        await publish(connection, [job.record for job in JOBS])
        return await request_run(connection, name, {}, Actor())


async def test_a_run_counts_with_its_outcome_and_seconds(settings, own_pool):
    await ask(own_pool, "key-hygiene")
    async with worker_with_port(settings) as port:
        found = await seen(port, lambda found: of(found, RUNS, name="key-hygiene", outcome="succeeded"))
        assert of(found, RUNS, name="key-hygiene", outcome="succeeded") == 1
        assert of(found, "paid_endpoint_job_run_seconds_count", name="key-hygiene") == 1
        found = await seen(port, lambda found: of(found, "paid_endpoint_job_queue_entries", state="delayed"))
        assert of(found, "paid_endpoint_job_queue_entries", state="waiting") == 0
        assert of(found, "paid_endpoint_pool_waiting") == 0
        assert (await scraped(port, "/health"))[1] == '{"status": "ok"}'
        assert {dict(pairs)["name"] for _, pairs in found if "name" in dict(pairs)} <= set(BY_NAME)


async def test_what_waits_is_shown_as_it_is(settings, own_pool):
    await own_pool.execute(
        "insert into outbox_message (template, recipient, content, due_at) values ('x', 'a@b.c', 'x', now() - interval '1 hour'),"
        " ('x', 'a@b.c', 'x', now() + interval '1 hour')"
    )
    await own_pool.execute(
        "insert into alert_state (kind, subject, name, level, since, period_ends, snoozed_until) values"
        " ('error_rate', 'a', 'x', 100, now() - interval '10 minutes', null, null),"
        " ('error_rate', 'b', 'x', 100, now() - interval '9 hours', null, now() + interval '1 hour'),"
        " ('error_rate', 'c', 'x', 0, now() - interval '2 days', null, null),"
        " ('day_cost', 'd', 'x', 100, now() - interval '2 days', now() - interval '1 day', null)"
    )
    async with opened(settings) as context:
        shown = JobMetrics(context)
        await shown.look()
        found = samples_of(shown.text().decode())
    assert of(found, "paid_endpoint_outbox_waiting", kind="mail") == 2
    assert 3_600 <= of(found, "paid_endpoint_outbox_due_seconds", kind="mail") < 3_700
    assert of(found, "paid_endpoint_outbox_waiting", kind="webhook") == 0
    assert of(found, "paid_endpoint_outbox_due_seconds", kind="webhook") == 0
    assert of(found, "paid_endpoint_outbox_given_up", kind="mail") == 0
    assert of(found, "paid_endpoint_alerts_open", kind="error_rate") == 2
    assert of(found, "paid_endpoint_alerts_open", kind="day_cost") == 0
    assert 600 <= of(found, "paid_endpoint_alert_oldest_seconds") < 700, "the snoozed one does not count"


async def test_the_depth_of_the_queue_is_what_was_put_into_it(settings):
    async with opened(settings) as context:
        queue = open_queue(context.redis)
        for number in range(3):
            await add(queue, BY_NAME["stale-rows"], f"t{number}", f"r{number}")
        depth = await queue_depth(context.redis)
    assert (depth.waiting, depth.active, depth.delayed, depth.failed, depth.late) == (3, 0, 0, 0, False)
    client = open_client(settings.redis)
    assert await queue_depth(client) == depth, "by the client of the other processes, too"
    await client.aclose()


async def test_what_was_seen_too_long_ago_is_not_shown(settings, monkeypatch):
    async with opened(settings) as context:
        shown = JobMetrics(context)
        await shown.look()
        assert b"paid_endpoint_outbox_waiting" in shown.text()
        monkeypatch.setattr(metrics, "OLD_SECONDS", 0.0)
        for gone in (b"paid_endpoint_outbox_waiting", b"paid_endpoint_job_queue_entries", b"paid_endpoint_alerts_open"):
            assert gone not in shown.text()
        assert b"paid_endpoint_pool_waiting" in shown.text()


async def test_names_that_somebody_puts_into_redis_make_no_series(settings):
    async with opened(settings) as context:
        shown = JobMetrics(context)
        for number in range(50):
            shown.ran(f"made-up-{number}", "succeeded", 0.1)
        shown.ran("stale-rows", "failed", 0.1)
        assert b"made-up" not in shown.text()
        assert of(samples_of(shown.text().decode()), RUNS, name="stale-rows", outcome="failed") == 1
