"""/user/jobs: lists, pages, results that are gone, cancelling; bodies and numbers of jobs that are too large."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from domain.async_jobs import accepting
from domain.async_jobs.sweeping import drop_results
from tests.async_jobs import Customer, JobShop, behind
from tests.deadlines import until
from tests.wire.raw_client import RawClient
from tests.wire.upstream import Script


async def test_jobs_are_listed_newest_first_in_pages(shop: JobShop, customer: Customer) -> None:
    made = [await customer.start() for _ in range(5)]
    await shop.call_back(made[0], status="completed")
    first = json.loads((await customer.ask("/user/jobs?limit=2")).body)
    second = json.loads((await customer.ask(f"/user/jobs?limit=2&before={first['next']}")).body)
    third = json.loads((await customer.ask(f"/user/jobs?limit=2&before={second['next']}")).body)
    found = [job["id"] for page in (first, second, third) for job in page["jobs"]]
    assert (found, third["next"]) == (made[::-1], None)
    done = json.loads((await customer.ask("/user/jobs?status=completed")).body)
    assert [job["id"] for job in done["jobs"]] == made[:1]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "status=gone", "limit=99999999999999999999"])
async def test_what_a_list_does_not_understand_it_refuses(customer: Customer, query: str) -> None:
    assert (await customer.ask(f"/user/jobs?{query}")).status == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_other_methods_are_refused(customer: Customer, method: str) -> None:
    assert (await customer.ask("/user/jobs", method=method)).status == 405


async def test_a_result_that_was_dropped_is_gone(shop: JobShop, customer: Customer) -> None:
    job_id = await customer.start()
    await shop.call_back(job_id, status="completed", result=1)
    async with shop.pool.acquire() as connection:
        assert await drop_results(connection, datetime.now(UTC), 7) == 0
        assert await drop_results(connection, datetime.now(UTC) + timedelta(days=8), 7) > 0
    answer = await customer.ask(f"/user/jobs/{job_id}/result")
    assert (answer.status, json.loads(answer.body)["code"]) == (410, "job_result_gone")
    assert (await customer.job(job_id))["result"] is None


async def test_what_was_not_sent_can_be_cancelled(shop: JobShop, customer: Customer) -> None:
    await customer.until(await customer.start(), "processing")
    await shop.pool.execute("update service set job_concurrency = 1 where slug = 'work'")
    try:
        waiting = await customer.start()
        cancelled = await customer.ask(f"/user/jobs/{waiting}", method="DELETE")
        assert (cancelled.status, json.loads(cancelled.body)["reason"]) == (200, "cancelled")
        assert (await customer.ask(f"/user/jobs/{waiting}", method="DELETE")).status == 200
        assert await customer.money() == (100, 5, 0)
        assert shop.sent(behind(customer.target("job")))[1:] == []
        late = await shop.call_back(waiting, status="completed")
        assert (late.status, json.loads(late.body)["code"]) == (409, "job_over")
    finally:
        await shop.pool.execute("update service set job_concurrency = 0 where slug = 'work'")


async def test_what_was_sent_cannot_be_cancelled(shop: JobShop, customer: Customer) -> None:
    job_id = await customer.start()
    await customer.until(job_id, "processing")
    refused = await customer.ask(f"/user/jobs/{job_id}", method="DELETE")
    assert (refused.status, json.loads(refused.body)["code"]) == (409, "job_under_way")
    await shop.call_back(job_id, status="completed")
    refused = await customer.ask(f"/user/jobs/{job_id}", method="DELETE")
    assert (refused.status, json.loads(refused.body)["code"]) == (409, "job_over")
    assert await customer.money() == (95, 0, 5)


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_beyond_the_bound_is_refused_and_nothing_is_held(
    shop: JobShop, customer: Customer, chunked: bool
) -> None:
    body = b"x" * 100_001
    target = customer.target("fat")
    if chunked:
        head = shop.gateway.request(target, customer.tenant.key, "Transfer-Encoding: chunked", method="POST")
        raw = head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    else:
        raw = shop.gateway.request(target, customer.tenant.key, method="POST", body=body)
    answer = await shop.gateway.ask(raw, "POST")
    assert (answer.status, json.loads(answer.body)["max_bytes"]) == (413, 100_000)
    assert json.loads((await customer.ask("/user/jobs")).body)["jobs"] == []
    assert await customer.money() == (100, 0, 0)
    assert (await customer.ask(target, method="POST", body=body[1:])).status == 202


async def test_a_chunked_body_arrives_whole(shop: JobShop, customer: Customer) -> None:
    target = customer.target("pieces")
    head = shop.gateway.request(target, customer.tenant.key, "Transfer-Encoding: chunked", "X-Mine: yes", method="POST")
    answer = await shop.gateway.ask(head + b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n", "POST")
    assert answer.status == 202
    await until(lambda: shop.sent(behind(target)), 20)
    record = shop.sent(behind(target))[0].record
    assert record.request.body == b"abcdefg"
    assert record.request.values("x-mine") == ["yes"]
    assert record.request.values("transfer-encoding") == []


async def test_who_leaves_in_the_middle_of_a_body_has_no_job(shop: JobShop, customer: Customer) -> None:
    raw = shop.gateway.request(customer.target("half"), customer.tenant.key, "Content-Length: 10", method="POST")
    async with await RawClient.connect(shop.gateway.address) as client:
        await client.send(raw + b"12345")
    assert json.loads((await customer.ask("/user/jobs")).body)["jobs"] == []
    assert (await customer.account())["reserved"] == 0


async def test_so_many_jobs_and_no_more_are_open_at_once(shop: JobShop) -> None:
    many = await shop.customer(0)
    await shop.pool.execute(
        "insert into async_job (id, organization_id, key_id, service_id, operation_id, request_id, deadline, method, target)"
        " select gen_random_uuid(), $1, $2, s.id, s.id, gen_random_uuid(), now() + interval '1 hour', 'POST', '/'"
        " from service s, generate_series(1, $3) where s.slug = 'work'",
        many.id, many.tenant.key_id, accepting.MOST_OPEN - 1,
    )  # fmt: skip
    target = f"/orders/free/{many.tenant.slug}"
    assert (await many.ask(target, method="POST", body=b"1")).status == 202
    refused = await many.ask(target, method="POST", body=b"1")
    assert (refused.status, json.loads(refused.body)["code"]) == (429, "too_many_jobs")
    await shop.pool.execute("delete from async_job where organization_id = $1", many.id)


async def test_the_upstreams_answer_in_another_coding_is_not_taken_for_the_result(
    shop: JobShop, customer: Customer
) -> None:
    shop.upstream.script(
        behind(customer.target("coded")),
        Script(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok"),
    )
    job_id = await customer.start("coded", "Accept-Encoding: gzip")
    assert "encoded" in (await customer.until(job_id, "failed"))["error"]
    assert shop.sent(behind(customer.target("coded")))[0].record.request.values("accept-encoding") == ["identity"]
