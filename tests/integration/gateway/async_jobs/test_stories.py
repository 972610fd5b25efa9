"""A job from its 202 to its end: done, failed, done at once, refused; told twice, told by strangers; and what it costs."""

import asyncio
import json

import pytest

from tests.async_jobs import BAD, BUSY, CREDITS, PRICE, TAKEN, Customer, JobShop, behind
from tests.deadlines import until
from tests.wire.upstream import Script


async def sent_once(shop: JobShop, customer: Customer, kind: str = "job") -> str:
    """Wait until the upstream has the job; its id as the upstream knows it."""
    await until(lambda: shop.sent(behind(customer.target(kind))), 20, "the job at the upstream")
    return shop.sent(behind(customer.target(kind)))[0].job_id


async def test_a_job_is_accepted_at_once_and_its_price_is_held(shop: JobShop, customer: Customer) -> None:
    answer = await customer.ask(customer.target("job"), method="POST", body=b"{}")
    said = json.loads(answer.body)
    assert answer.status == 202
    assert said == {
        "id": said["id"], "status": "pending", "credits": {"held": "5", "charged": "0"}, "url": f"/user/jobs/{said['id']}",
    }  # fmt: skip
    assert answer.first("location") == said["url"]
    assert int(answer.first("retry-after")) > 0
    assert answer.first("x-credits-at-most") == "5"
    assert answer.first("x-credits-remaining") == "95"
    assert await customer.money() == (100, 5, 0)


async def test_a_job_that_is_done_is_charged(shop: JobShop, customer: Customer) -> None:
    job_id = await customer.start(body=b'{"size": 3}')
    assert await sent_once(shop, customer) == job_id
    sent = shop.sent(behind(customer.target("job")))[0]
    assert sent.record.request.body == b'{"size": 3}'
    assert sent.callback_url.endswith(f"/callbacks/jobs/{job_id}")
    assert customer.tenant.key not in sent.record.text
    await customer.until(job_id, "processing")
    assert (await shop.call_back(job_id, status="processing", progress=40, message="half way")).status == 200
    told = await customer.job(job_id)
    assert (told["progress"], told["message"], told["credits"]) == (40, "half way", {"held": "5", "charged": "0"})
    assert (await shop.call_back(job_id, status="completed", result={"pages": [1, 2]})).status == 200
    told = await customer.job(job_id)
    assert (told["status"], told["progress"], told["credits"]) == ("completed", 100, {"held": "0", "charged": "5"})
    result = await customer.ask(told["result"]["url"])
    assert (result.status, json.loads(result.body)) == (200, {"pages": [1, 2]})
    assert result.first("content-type") == "application/json"
    assert await customer.money() == (95, 0, 5)
    assert await shop.drifts() == []


async def test_a_job_that_failed_costs_nothing(shop: JobShop, customer: Customer) -> None:
    job_id = await customer.start()
    await sent_once(shop, customer)
    assert (await shop.call_back(job_id, status="failed", error="no paper")).status == 200
    told = await customer.job(job_id)
    assert (told["status"], told["reason"], told["error"]) == ("failed", "upstream_failed", "no paper")
    assert (await customer.ask(f"/user/jobs/{job_id}/result")).status == 409
    assert await customer.money() == (100, 0, 0)
    assert await shop.drifts() == []


@pytest.mark.parametrize("status", ["200 OK", "201 Created"])
async def test_an_upstream_may_be_done_at_once(shop: JobShop, customer: Customer, status: str) -> None:
    body = b"\x00\x01whole"
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/pdf\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    shop.upstream.script(behind(customer.target("quick")), Script(head + body))
    job_id = await customer.start("quick")
    await customer.until(job_id, "completed")
    result = await customer.ask(f"/user/jobs/{job_id}/result")
    assert (result.body, result.first("content-type")) == (body, "application/pdf")
    assert result.first("x-content-type-options") == "nosniff"
    assert await customer.money() == (95, 0, 5)


async def test_an_upstream_that_refuses_fails_the_job(shop: JobShop, customer: Customer) -> None:
    shop.upstream.script(behind(customer.target("bad")), Script(BAD))
    told = await customer.until(await customer.start("bad"), "failed")
    assert (told["reason"], told["error"]) == ("refused", "The service answered 422. no such")
    assert await customer.money() == (100, 0, 0)


async def test_an_upstream_that_is_busy_is_asked_again_with_the_same_id(shop: JobShop, customer: Customer) -> None:
    seen: list[int] = []

    def answer(_: object) -> bytes:
        seen.append(1)
        return BUSY if len(seen) < 3 else TAKEN

    shop.upstream.script(behind(customer.target("busy")), Script(answer))
    job_id = await customer.start("busy")
    await customer.until(job_id, "processing")
    assert {sent.job_id for sent in shop.sent(behind(customer.target("busy")))} == {job_id}
    assert len(seen) == 3


async def test_a_result_that_is_too_large_fails_the_job(shop: JobShop, customer: Customer) -> None:
    body = b"x" * 60_000
    shop.upstream.script(
        behind(customer.target("large")),
        Script(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body),
    )
    told = await customer.until(await customer.start("large"), "failed")
    assert "more than 50000 bytes" in told["error"]
    assert await customer.money() == (100, 0, 0)
    job_id = await customer.start()
    await sent_once(shop, customer)
    refused = await shop.call_back(job_id, status="completed", result="x" * 60_000)
    assert refused.status == 400
    assert (await customer.job(job_id))["status"] in {"pending", "processing"}


async def test_the_same_callback_again_is_answered_as_before_and_charges_once(
    shop: JobShop, customer: Customer
) -> None:
    job_id = await customer.start()
    answers = await asyncio.gather(
        *(shop.call_back(job_id, status="completed", result=number, message_id="msg_1") for number in range(6))
    )
    assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}
    assert await customer.money() == (95, 0, 5)
    first = (await customer.ask(f"/user/jobs/{job_id}/result")).body
    assert (await shop.call_back(job_id, status="completed", result="another")).status == 200
    assert (await customer.ask(f"/user/jobs/{job_id}/result")).body == first
    assert await shop.drifts() == []


@pytest.mark.parametrize(("first", "then"), [("completed", "failed"), ("failed", "completed")])
async def test_what_has_ended_stays_as_it_is(shop: JobShop, customer: Customer, first: str, then: str) -> None:
    job_id = await customer.start()
    assert (await shop.call_back(job_id, status=first)).status == 200
    before = await customer.job(job_id), await customer.money()
    refused = await shop.call_back(job_id, status=then, result=1, error="no")
    assert (refused.status, json.loads(refused.body)["code"]) == (409, "job_over")
    assert (await shop.call_back(job_id, status="processing", progress=3)).status == 200
    assert (await customer.job(job_id), await customer.money()) == before


async def test_progress_never_goes_back(shop: JobShop, customer: Customer) -> None:
    job_id = await customer.start()
    for progress, message in ((50, "half"), (20, "late"), (60, "more")):
        assert (await shop.call_back(job_id, status="processing", progress=progress, message=message)).status == 200
    told = await customer.job(job_id)
    assert (told["progress"], told["message"]) == (60, "more")


async def test_a_callback_may_come_before_the_upstream_has_said_that_it_took_the_job(
    shop: JobShop, customer: Customer
) -> None:
    shop.upstream.script(behind(customer.target("slow")), Script(b"", delay_ms=1_500, late=TAKEN))
    job_id = await customer.start("slow")
    await until(lambda: shop.upstream.since(0, behind(customer.target("slow"))), 20)
    assert (await shop.call_back(job_id, status="completed", result=1)).status == 200
    await asyncio.sleep(2)  # the late 202 arrives, and changes nothing
    told = await customer.job(job_id)
    assert (told["status"], told["credits"]["charged"]) == ("completed", "5")
    assert await customer.money() == (95, 0, 5)


async def test_a_free_job_holds_nothing(shop: JobShop) -> None:
    poor = await shop.customer(0)
    answer = await poor.ask(f"/orders/free/{poor.tenant.slug}", method="POST", body=b"1")
    assert (answer.status, answer.first("x-credits-at-most")) == (202, "")
    job_id = json.loads(answer.body)["id"]
    assert (await shop.call_back(job_id, status="completed", result=1)).status == 200
    assert (await poor.job(job_id))["credits"] == {"held": "0", "charged": "0"}


async def test_who_cannot_pay_is_refused_and_nothing_is_stored(shop: JobShop) -> None:
    poor = await shop.customer(PRICE - 1)
    answer = await poor.ask(poor.target("job"), method="POST", body=b"1")
    assert (answer.status, json.loads(answer.body)["code"]) == (402, "out_of_credits")
    assert json.loads((await poor.ask("/user/jobs")).body) == {"jobs": [], "next": None}
    assert (await poor.account())["reserved"] == 0


async def test_credits_that_a_worker_has_leased_are_asked_back_for_a_job(shop: JobShop) -> None:
    buyer = await shop.customer(6 * CREDITS)
    target = f"/orders/at-once/{buyer.tenant.slug}"
    shop.upstream.script(behind(target), Script(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    assert (await buyer.ask(target)).status == 200
    await buyer.start()
    assert (await buyer.account())["reserved"] == PRICE


async def test_operations_that_are_not_asynchronous_go_on_as_ever(shop: JobShop, customer: Customer) -> None:
    target = f"/orders/at-once/{customer.tenant.slug}"
    shop.upstream.script(behind(target), Script(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    assert [(await customer.ask(target)).body for _ in range(4)] == [b"ok"] * 4


async def test_a_job_without_a_body_by_get(shop: JobShop, customer: Customer) -> None:
    for _ in range(3):  # known heads are not remembered of these
        answer = await customer.ask(customer.target("read") + "?a=%2F&b=1", method="GET")
        assert answer.status == 202
    await until(lambda: len(shop.sent(behind(customer.target("read")))) == 3, 20)
    assert {sent.record.target for sent in shop.sent(behind(customer.target("read")))} == {
        behind(customer.target("read")) + "?a=%2F&b=1"
    }
