"""Somebody holds one organization's account for seconds: that one waits and is told so, and nobody else notices."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable

import pytest

from domain import operations
from tests.async_jobs import CREDITS, Customer, JobShop
from tests.wire.answers import WireAnswer

HELD_SECONDS = 4.0
SOON = 1.0
"""Within this much others are answered, on a busy machine too; who waits for an account that is locked waits as long."""
FLOOD = 25


@pytest.fixture(scope="module", autouse=True)
async def reserved(shop: JobShop) -> None:
    """An operation whose price is reserved before each request."""
    async with shop.pool.acquire() as connection:
        await operations.create(
            connection, service_slug="work", method="*", path_pattern="/kept/*", name="kept", price_micro=CREDITS,
            reserved=True,
        )  # fmt: skip
    somebody = await shop.customer()
    await until_priced(somebody)


async def until_priced(customer: Customer) -> None:
    """The gateway knows the operation."""
    deadline = time.monotonic() + 10
    while not (answer := await customer.ask("/orders/kept/a")).first("x-credits-charged"):
        assert time.monotonic() < deadline, answer
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def locked(shop: JobShop, *customers: Customer) -> AsyncIterator[None]:
    """Somebody has the accounts of these in a transaction that does not end."""
    async with shop.pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "select from credit_account where organization_id = any($1::uuid[]) for update",
            [one.id for one in customers],
        )
        yield


async def timed(asked: Awaitable[WireAnswer]) -> tuple[WireAnswer, float]:
    begun = time.monotonic()
    return await asked, time.monotonic() - begun


async def everything(customer: Customer, job_id: str, number: int) -> list[tuple[WireAnswer, float]]:
    """One request of each kind that has to do with credits, at once."""
    report = customer.shop.call_back(job_id, status="processing", progress=number)
    return await asyncio.gather(
        timed(customer.ask("/orders/at-once/a")),
        timed(customer.ask("/orders/kept/a")),
        timed(customer.ask(customer.target("job"), method="POST", body=b"1")),
        timed(customer.ask(f"/user/jobs/{job_id}")),
        timed(report),
    )


async def flood(customer: Customer, job_ids: list[str]) -> list[WireAnswer]:
    """A great many requests that wait for the account of the customer."""
    ways = [customer.ask("/orders/kept/a") for _ in range(FLOOD)]
    ways += [customer.ask("/orders/at-once/a") for _ in range(FLOOD)]
    ways += [customer.ask(customer.target("flood"), method="POST", body=b"1") for _ in range(FLOOD)]
    ways += [customer.shop.call_back(job_id, status="completed") for job_id in job_ids]
    ways += [customer.ask(f"/user/jobs/{job_id}", method="DELETE") for job_id in job_ids]
    return list(await asyncio.gather(*ways))


def refused_well(answer: WireAnswer) -> bool:
    """Whether a 503 says when to come again."""
    return json.loads(answer.body)["code"] == "cannot_decide" and answer.first("retry-after") == "1"


@pytest.mark.timeout(120)
async def test_an_account_that_is_locked_keeps_only_its_own_organization_waiting(shop: JobShop) -> None:
    victim, *others = [await shop.customer(10_000 * CREDITS) for _ in range(6)]
    open_ = [await victim.start() for _ in range(8)]
    jobs = {other.id: await other.start() for other in others}
    async with asyncio.timeout(60):
        for round_ in range(2):
            before = len(shop.gateway.log)
            async with locked(shop, victim):
                until_ = time.monotonic() + HELD_SECONDS
                flooding = asyncio.ensure_future(flood(victim, open_))
                slowest = 0.0
                while time.monotonic() < until_:
                    for answers in await asyncio.gather(
                        *(everything(other, jobs[other.id], round_) for other in others)
                    ):
                        for answer, seconds in answers:
                            assert answer.status in {200, 202}, (answer, seconds)
                            slowest = max(slowest, seconds)
                    await asyncio.sleep(0.05)
                refused = [answer for answer in await flooding if answer.status == 503]
            assert slowest < SOON, slowest
            assert refused, "the account was not needed"
            assert all(refused_well(answer) for answer in refused)
            assert "ledger is away" not in shop.gateway.log[before:]
    for answer, _ in await everything(victim, open_[0], 2):
        assert answer.status in {200, 202, 409}, answer
    # What they cost came late, and came.
    for customer in (victim, *others):
        async with asyncio.timeout(20):
            while not (await customer.account())["usage"]:
                await asyncio.sleep(0.05)
    assert await shop.drifts() == []


@pytest.mark.timeout(60)
async def test_who_waits_for_a_locked_account_is_served_when_it_is_free(shop: JobShop, customer: Customer) -> None:
    async with locked(shop, customer):
        asked = asyncio.gather(
            customer.ask("/orders/kept/a"), customer.ask(customer.target("job"), method="POST", body=b"1")
        )
        await asyncio.sleep(0.3)
    assert [answer.status for answer in await asked] == [202, 202]
