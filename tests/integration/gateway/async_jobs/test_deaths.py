"""Processes are killed anywhere, and PostgreSQL does not answer: holds and charges agree, and no job runs under two ids."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from domain import operations
from loadtests.processes import children
from tests.async_jobs import PRICE, TAKEN, Customer, DispatcherProcess, JobShop, behind, dispatching, job_shop
from tests.deadlines import until
from tests.gateways import make_service
from tests.wire.fault_proxy import FaultProxy
from tests.wire.upstream import Script

JOBS = 24


@pytest.fixture
async def mortal(fresh_database_url: str, redis_url: str) -> AsyncIterator[JobShop]:
    """A shop of its own, with two workers that their supervisor replaces."""
    async with job_shop(fresh_database_url, redis_url, workers=2) as shop:
        yield shop


def kill_workers(shop: JobShop) -> None:
    for worker in children(shop.gateway.pid, "gateway.server.worker"):
        os.kill(worker, signal.SIGKILL)


async def insist(customer: Customer, number: int, seconds: float = 60.0) -> str:
    """The id of the job under a key, asked for until there is an answer."""
    async with asyncio.timeout(seconds):
        while True:
            with contextlib.suppress(OSError, LookupError, TimeoutError):
                answer = await customer.ask(
                    f"/orders/repeated/{number}", f"Idempotency-Key: key-{number}", method="POST", body=b"%d" % number
                )
                if answer.status == 202:
                    if answer.whole:
                        return str(json.loads(answer.body)["id"])
                    continue  # Its worker was killed in the middle of the answer.
                assert answer.status in {409, 503}, answer
                assert b"outcome_not_kept" not in answer.body, "the job of a killed worker is not told any more"
            await asyncio.sleep(0.1)


async def report(shop: JobShop, job_id: str, status: str, seconds: float = 60.0) -> None:
    """A callback, repeated until it is taken, as upstreams do."""
    async with asyncio.timeout(seconds):
        while True:
            with contextlib.suppress(OSError, LookupError, TimeoutError):
                answer = await shop.call_back(job_id, status=status, result=1)
                if answer.status == 200:
                    if answer.whole:
                        return
                    continue  # Its worker was killed in the middle of the answer.
                assert answer.status == 503, answer
            await asyncio.sleep(0.1)


async def test_workers_are_killed_while_jobs_are_taken_on_and_end(mortal: JobShop) -> None:
    customer = await mortal.customer()
    asking = [asyncio.ensure_future(insist(customer, number)) for number in range(JOBS // 2)]
    for _ in range(3):
        await asyncio.sleep(0.15)
        kill_workers(mortal)
    asking += [asyncio.ensure_future(insist(customer, number)) for number in range(JOBS // 2, 16)]
    made = await asyncio.gather(*asking)
    assert len(set(made)) == len(made)
    stored = await mortal.pool.fetchval("select count(*) from async_job where organization_id = $1", customer.id)
    assert stored == len(made)
    assert (await customer.account())["reserved"] == len(made) * PRICE
    telling = [
        asyncio.ensure_future(report(mortal, job_id, "completed" if place % 3 else "failed"))
        for place, job_id in enumerate(made)
    ]
    for _ in range(2):
        await asyncio.sleep(0.1)
        kill_workers(mortal)
    await asyncio.gather(*telling)
    done = sum(1 for place in range(len(made)) if place % 3)
    found = await customer.account()
    assert (found["reserved"], found["usage"]) == (0, done * PRICE)
    assert await mortal.drifts() == []


async def test_a_dispatcher_is_killed_in_the_middle_of_its_attempts(mortal: JobShop) -> None:
    customer = await mortal.customer()
    kind = behind(customer.target("held"))
    mortal.upstream.script(kind, Script(b"", delay_ms=60_000))
    made = {await customer.start("held") for _ in range(4)}
    first = DispatcherProcess(mortal)
    first.start()
    await until(lambda: len(mortal.sent(kind)) == 4, 30, "four jobs upstream")
    first.kill()
    mortal.upstream.script(kind, Script(TAKEN))
    # The lease of the dead is over.
    await mortal.pool.execute("update async_job set due_at = now() where due_at is not null")
    with dispatching(mortal):
        for job_id in made:
            await customer.until(job_id, "processing")
    assert {sent.job_id for sent in mortal.sent(kind)} == made
    assert len(mortal.sent(kind)) == 8
    await asyncio.gather(*(report(mortal, job_id, "completed") for job_id in made))
    found = await customer.account()
    assert (found["reserved"], found["usage"]) == (0, 4 * PRICE)
    assert await mortal.drifts() == []


async def test_dispatchers_that_are_killed_again_and_again_lose_no_job(mortal: JobShop) -> None:
    customer = await mortal.customer()
    kind = behind(customer.target("many"))
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"
    mortal.upstream.script(kind, Script(body))
    made = [await customer.start("many") for _ in range(12)]
    await mortal.pool.execute("update service set job_concurrency = 3")
    for pause in (0.9, 1.1, 1.0, 1.3):
        with dispatching(mortal, 2):
            await asyncio.sleep(pause)
        await mortal.pool.execute("update async_job set due_at = now() where due_at is not null")
    with dispatching(mortal):
        for job_id in made:
            await customer.until(job_id, "completed", 40)
    assert {sent.job_id for sent in mortal.sent(kind)} == set(made)
    found = await customer.account()
    assert (found["reserved"], found["usage"]) == (0, 12 * PRICE)
    assert await mortal.drifts() == []


@pytest.mark.parametrize("door", ["express", "plain"])
async def test_without_the_database_nothing_is_held_and_nothing_stored(
    fresh_database_url: str, redis_url: str, door: str
) -> None:
    parts = urlsplit(fresh_database_url)
    async with FaultProxy((parts.hostname or "", parts.port or 0)) as proxy, job_shop(
        fresh_database_url, redis_url, GATEWAY_DOOR=door,
        DATABASE_URL=fresh_database_url.replace(f":{parts.port}/", f":{proxy.address[1]}/"),
    ) as shop:  # fmt: skip
        customer = await shop.customer()
        job_id = await customer.start()
        proxy.to_server.hold()
        for _ in range(2):
            answer = await customer.ask(customer.target("job"), method="POST", body=b"1")
            assert (answer.status, json.loads(answer.body)["code"]) == (503, "cannot_decide")
        assert (await customer.ask(f"/user/jobs/{job_id}")).status == 503
        assert (await shop.call_back(job_id, status="completed")).status == 503
        proxy.to_server.release()
        await report(shop, job_id, "completed")
        await asyncio.sleep(1)  # what was on its way while it hung has arrived, and is undone
        found = await customer.account()
        open_ = await shop.pool.fetchval("select count(*) from async_job where ended_at is null")
        assert (open_, found["usage"], found["reserved"]) == (0, PRICE, 0)
        assert await shop.drifts() == []
        assert (await customer.ask(customer.target("job"), method="POST", body=b"1")).status == 202


async def test_a_service_that_hangs_keeps_no_other_waiting(mortal: JobShop) -> None:
    customer = await mortal.customer()
    hangs, other = behind(customer.target("hangs")), f"other-{customer.tenant.slug}"
    mortal.upstream.script(hangs, Script(b"", delay_ms=60_000))
    async with mortal.pool.acquire() as connection:
        await make_service(connection, other, f"/{other}", mortal.upstream.port)
        await operations.create(
            connection, service_slug=other, method="*", path_pattern="/*", name="job", asynchronous=True
        )
    await mortal.gateway.serves(f"/{other}")
    await mortal.pool.execute("update service set first_byte_timeout_ms = 120000 where slug = 'work'")
    for _ in range(5):
        await customer.start("hangs")
    with dispatching(mortal, ASYNC_CONCURRENCY="2"):
        await until(lambda: mortal.sent(hangs), 30, "a job that hangs")
        made = json.loads((await customer.ask(f"/{other}/quick", method="POST", body=b"1")).body)["id"]
        await customer.until(made, "processing", 5)
    assert len(mortal.sent(hangs)) == 1
