"""What a job meets on its way: time that runs out, places of its service, plans with quotas, caps, closed organizations."""

import asyncio
import json
import time
from datetime import UTC, datetime

import pytest

from domain import audit, operations
from domain.async_jobs.counting import count_charged
from domain.async_jobs.sweeping import sweep
from domain.closing import close
from domain.faults import InvalidValue
from domain.organizations import suspend
from domain.usage_reading import requests_today
from tests.async_jobs import CREDITS, PRICE, Customer, JobShop, behind
from tests.deadlines import until


async def one(shop: JobShop, query: str, *values: object) -> object:
    return await shop.pool.fetchval(query, *values)


async def test_a_job_that_takes_too_long_is_overdue_and_costs_nothing(shop: JobShop, customer: Customer) -> None:
    job_id = await customer.start()
    await customer.until(job_id, "processing")
    await shop.pool.execute("update async_job set deadline = now() where id = $1::uuid", job_id)
    told = await customer.until(job_id, "failed")  # the dispatcher sweeps
    assert told["reason"] == "overdue"
    assert await customer.money() == (100, 0, 0)
    late = await shop.call_back(job_id, status="completed", result=1)
    assert (late.status, json.loads(late.body)["reason"]) == (409, "overdue")
    assert await customer.money() == (100, 0, 0)
    assert await shop.drifts() == []


async def test_the_deadline_decides_and_not_the_sweep(shop: JobShop, customer: Customer) -> None:
    job_id = await customer.start()
    await shop.pool.execute("update async_job set deadline = now() where id = $1::uuid", job_id)
    late = await shop.call_back(job_id, status="completed", result=1)
    assert (late.status, json.loads(late.body)["reason"]) == (409, "overdue")
    assert (await customer.job(job_id))["reason"] == "overdue"
    assert await customer.money() == (100, 0, 0)


async def test_a_service_has_no_more_jobs_at_work_than_it_may(shop: JobShop, customer: Customer) -> None:
    """Two dispatchers, five jobs, two places: the third begins when one of the first has ended."""
    from tests.async_jobs import dispatching

    kind = behind(customer.target("placed"))
    await shop.pool.execute("update async_job set ended_at = now(), status = 'failed', reason = 'cancelled', fields = null,"
                            " body = null, due_at = null, working = false where ended_at is null")  # fmt: skip
    await shop.pool.execute("update credit_account set reserved_micro = 0")
    await shop.pool.execute("update service set job_concurrency = 2 where slug = 'work'")
    try:
        with dispatching(shop):
            made = [await customer.start("placed") for _ in range(5)]
            for done in range(4):
                wanted = min(done + 2, 5)
                await until(lambda wanted=wanted: len(shop.sent(kind)) == wanted, 20, f"{wanted} jobs upstream")
                most, deadline = 0, time.monotonic() + 1
                while time.monotonic() < deadline:
                    working = await one(shop, "select count(*) from async_job where working")
                    most = max(most, working)  # type: ignore[call-overload]
                    await asyncio.sleep(0.02)
                assert (most, len(shop.sent(kind))) == (2, wanted)
                ended = shop.sent(kind)[done].job_id
                assert (await shop.call_back(ended, status="completed")).status == 200
            assert (await shop.call_back(shop.sent(kind)[4].job_id, status="failed")).status == 200
    finally:
        await shop.pool.execute("update service set job_concurrency = 0 where slug = 'work'")
    assert sorted(sent.job_id for sent in shop.sent(kind)) == sorted(made)
    assert await customer.money() == (80, 0, 20)


async def test_who_pays_with_quotas_has_nothing_held(shop: JobShop) -> None:
    buyer = await shop.customer(0)
    await shop.pool.execute("update organization set billing_mode = 'quota' where id = $1", buyer.id)
    deadline = time.monotonic() + 5
    while (answer := await buyer.ask(buyer.target("job"), method="POST", body=b"1")).status != 202:
        assert time.monotonic() < deadline, answer
    job_id = json.loads(answer.body)["id"]
    assert (await shop.call_back(job_id, status="completed", result=1)).status == 200
    assert (await buyer.job(job_id))["credits"] == {"held": "0", "charged": "0"}


async def test_a_spend_cap_counts_what_is_held(shop: JobShop) -> None:
    buyer = await shop.customer()
    await shop.pool.execute("update organization set spend_cap_day_micro = $2 where id = $1", buyer.id, 2 * PRICE)
    deadline = time.monotonic() + 5
    while not json.loads((await buyer.ask("/user/usage")).body)["spend_caps"]:
        assert time.monotonic() < deadline
    statuses = [(await buyer.ask(buyer.target("job"), method="POST", body=b"1")).status for _ in range(3)]
    assert statuses == [202, 202, 402]
    assert json.loads((await buyer.ask("/user/usage")).body)["spend_caps"][0]["used"] == "10"


async def test_a_formula_says_what_is_held(shop: JobShop, customer: Customer) -> None:
    async with shop.pool.acquire() as connection:
        made = await operations.create(
            connection, service_slug="work", method="POST", path_pattern="/pages/*", name="pages", price_micro=PRICE,
            cost_formula="0.5 * query.pages ? 1", asynchronous=True,
        )  # fmt: skip
        with pytest.raises(InvalidValue, match="asynchronous"):
            await operations.change(connection, made.id, cost_formula="0.5 * answer.bytes")
    deadline = time.monotonic() + 5
    target = f"/orders/pages/{customer.tenant.slug}?pages=4"
    while (answer := await customer.ask(target, method="POST", body=b"1")).first("x-credits-at-most") != "2":
        assert time.monotonic() < deadline, answer
    await shop.call_back(json.loads(answer.body)["id"], status="completed")
    assert (await customer.account())["usage"] == 2 * CREDITS


async def test_an_organization_that_is_closed_gets_back_what_was_held(shop: JobShop, customer: Customer) -> None:
    job_id = await customer.start()
    await customer.until(job_id, "processing")
    async with shop.pool.acquire() as connection, connection.transaction():
        await close(connection, customer.id, audit.Actor("operator", 1, "them"), reason="the end")
    assert (await customer.account())["reserved"] == 0
    late = await shop.call_back(job_id, status="completed")
    assert (late.status, json.loads(late.body)["reason"]) == (409, "cancelled")
    assert await shop.drifts() == []


async def test_jobs_of_a_suspended_organization_wait(shop: JobShop, customer: Customer) -> None:
    begun = await customer.start()
    await customer.until(begun, "processing")
    async with shop.pool.acquire() as connection:
        await suspend(connection, customer.tenant.slug)
    await shop.pool.execute(
        "insert into async_job (id, organization_id, key_id, service_id, operation_id, request_id, deadline, method,"
        " target, fields, body, due_at) select gen_random_uuid(), organization_id, key_id, service_id, operation_id,"
        " gen_random_uuid(), deadline, method, target, fields, body, now() from async_job where id = $1::uuid",
        begun,
    )
    await asyncio.sleep(1.5)
    assert len(shop.sent(behind(customer.target("job")))) == 1
    assert (await customer.ask(f"/user/jobs/{begun}")).status == 403
    assert (await shop.call_back(begun, status="completed")).status == 200
    assert await customer.money() == (95, 0, 5)


async def test_what_is_counted_at_the_202_does_not_come_back(shop: JobShop, customer: Customer) -> None:
    """As for a request whose upstream failed: limits count what was admitted, credits what was done."""

    async def used() -> list[int]:
        return [window["used"] for window in json.loads((await customer.ask("/user/usage")).body)["windows"]]

    job_id = await customer.start()
    counted = await used()
    assert counted == [1] * len(counted) != []
    await shop.call_back(job_id, status="failed")
    assert (await used(), await customer.money()) == (counted, (100, 0, 0))


async def test_a_job_outlives_the_key_that_asked_for_it(shop: JobShop, customer: Customer) -> None:
    job_id = await customer.start()
    await customer.until(job_id, "processing")
    await shop.pool.execute("update api_key set revoked_at = now() where id = $1", customer.tenant.key_id)
    assert (await shop.call_back(job_id, status="completed")).status == 200
    assert await customer.money() == (95, 0, 5)


async def test_what_a_job_cost_is_counted_once_where_spending_is_shown(shop: JobShop, customer: Customer) -> None:
    begun = datetime.now(UTC).date()
    job_id = await customer.start()
    await shop.call_back(job_id, status="completed")
    async with shop.pool.acquire() as connection:
        for _ in range(3):
            await sweep(connection)
            await count_charged(connection)
    for table, where in (("usage_rollup", "grain = 'day'"), ("organization_usage", "grain = 'month'")):
        deadline = time.monotonic() + 10
        query = f"select sum(cost_micro) as cost, sum(requests) as requests from {table} where organization_id = $1 and {where}"
        # The request itself is folded a moment later.
        while (row := await shop.pool.fetchrow(query, customer.id))["requests"] < 1:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        assert (row["cost"], row["requests"]) == (PRICE, 1)
    assert (
        await one(shop, "select cost_micro from request_log where organization_id = $1 and status = 202", customer.id)
        == 0
    )
    days = {begun, datetime.now(UTC).date()}
    assert sum([await requests_today(shop.pool, customer.id, day) for day in days]) == 1


async def test_the_ledger_names_the_job(shop: JobShop, customer: Customer) -> None:
    job_id = await customer.start()
    await shop.call_back(job_id, status="completed")
    row = await shop.pool.fetchrow(
        "select type, reference, reason, requests, idempotency_key from credit_entry"
        " where organization_id = $1 and type = 'usage'",
        customer.id,
    )
    assert tuple(row) == ("usage", job_id, "Job: work job", 1, f"job:{job_id}")


@pytest.mark.parametrize(("status", "event"), [("completed", "job.completed"), ("failed", "job.failed")])
async def test_webhooks_tell_of_the_end(shop: JobShop, customer: Customer, status: str, event: str) -> None:
    await shop.pool.execute(
        "insert into webhook_endpoint (organization_id, url, secret) values ($1, 'https://hooks.example/x', '')",
        customer.id,
    )
    job_id = await customer.start()
    for _ in range(2):
        await shop.call_back(job_id, status=status, error="no paper")
    [row] = await shop.pool.fetch("select type, payload from webhook_event where organization_id = $1", customer.id)
    data = json.loads(row["payload"])["data"]
    assert (row["type"], data["id"], data["url"]) == (event, job_id, f"/user/jobs/{job_id}")
    assert data["charged"] == ("5" if status == "completed" else "0")


async def test_nothing_beyond_the_ledger_goes_unnoticed(shop: JobShop, customer: Customer) -> None:
    """The proof of the ledger knows jobs: what is held for none, and what was charged for none, is named."""
    open_, done = await customer.start(), await customer.start()
    await shop.call_back(done, status="completed")
    assert await shop.drifts() == []
    await shop.pool.execute("update async_job set price_micro = price_micro - 1 where id = $1::uuid", open_)
    assert {drift.what for drift in await shop.drifts()} == {
        "reserved, by the reservations and the open jobs", "available: granted less posted less held",
    }  # fmt: skip
    await shop.pool.execute("update async_job set price_micro = price_micro + 1 where id = $1::uuid", open_)
    await shop.pool.execute("update async_job set charged_micro = charged_micro - 1 where id = $1::uuid", done)
    assert len(await shop.drifts()) == 1
    await shop.pool.execute("update async_job set charged_micro = charged_micro + 1 where id = $1::uuid", done)
