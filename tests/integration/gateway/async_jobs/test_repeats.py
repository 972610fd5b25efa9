"""An Idempotency-Key on an operation that replays: however often it is asked, there is one job, and it is paid once."""

import asyncio
import json

from tests.async_jobs import Customer, JobShop


async def ask(customer: Customer, key: str, body: bytes = b"1", kind: str = "a") -> tuple[int, dict[str, object]]:
    target = f"/orders/repeated/{kind}-{customer.tenant.slug}"
    answer = await customer.ask(target, f"Idempotency-Key: {key}", method="POST", body=body)
    return answer.status, json.loads(answer.body)


async def test_a_repeat_is_answered_with_the_same_job(shop: JobShop, customer: Customer) -> None:
    status, first = await ask(customer, "k1")
    assert status == 202
    assert await ask(customer, "k1") == (202, first)
    repeated = await customer.ask(
        f"/orders/repeated/a-{customer.tenant.slug}", "Idempotency-Key: k1", method="POST", body=b"1"
    )
    assert (repeated.first("location"), repeated.first("idempotency-replayed")) == (first["url"], "true")
    assert await customer.money() == (100, 5, 0)
    await shop.call_back(str(first["id"]), status="completed", result=1)
    assert await ask(customer, "k1") == (202, first)
    assert await customer.money() == (95, 0, 5)


async def test_another_body_under_the_same_key_is_refused(customer: Customer) -> None:
    assert (await ask(customer, "k2"))[0] == 202
    status, problem = await ask(customer, "k2", b"2")
    assert (status, problem["code"]) == (422, "idempotency_mismatch")
    assert await customer.money() == (100, 5, 0)


async def test_the_same_request_at_once_makes_one_job(customer: Customer) -> None:
    found = await asyncio.gather(*(ask(customer, "k3") for _ in range(12)))
    assert {status for status, _ in found} <= {202, 409}
    assert {said["code"] for status, said in found if status == 409} <= {"still_running"}
    assert len({said["id"] for status, said in found if status == 202}) == 1
    assert len(json.loads((await customer.ask("/user/jobs")).body)["jobs"]) == 1
    assert await customer.money() == (100, 5, 0)


async def test_a_request_that_was_refused_may_be_asked_again(shop: JobShop) -> None:
    poor = await shop.customer(0)
    assert (await ask(poor, "k4"))[0] == 402
    assert (await ask(poor, "k4"))[0] == 402


async def test_the_same_key_of_two_customers_are_two_jobs(shop: JobShop, customer: Customer) -> None:
    other = await shop.customer()
    assert (await ask(customer, "k5"))[1]["id"] != (await ask(other, "k5"))[1]["id"]
