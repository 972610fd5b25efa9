"""What upstreams say that no text, no JSON and no field holds: it harms neither the job nor whoever asks for it."""

import json
from urllib.parse import quote

import pytest

from tests.async_jobs import Customer, JobShop, behind
from tests.wire.upstream import Script

LONE = b"\\ud800"
"""Half of a pair, as JSON may hold it; no database stores it as text."""


@pytest.mark.parametrize("said", ["processing", "failed", "completed"])
async def test_texts_that_cannot_be_stored_do_not_keep_a_report_out(
    shop: JobShop, customer: Customer, said: str
) -> None:
    job_id = await customer.start()
    body = b'{"job_id": "%b", "status": "%b", "message": "a%bb", "error": "c%bd"}' % (
        job_id.encode(), said.encode(), LONE, LONE,
    )  # fmt: skip
    answer = await shop.call_back(job_id, body=body)
    assert (answer.status, json.loads(answer.body)["status"]) == (200, said)
    found = await customer.job(job_id)
    assert (found["message"], found["error"]) == ("a?b", "c?d" if said == "failed" else None)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "[Infinity]"])
async def test_a_number_that_json_has_not_is_no_result(shop: JobShop, customer: Customer, number: str) -> None:
    job_id = await customer.start()
    body = f'{{"job_id": "{job_id}", "status": "completed", "result": {number}}}'.encode()
    answer = await shop.call_back(job_id, body=body)
    assert (answer.status, json.loads(answer.body)["code"]) == (400, "invalid_callback")
    assert (await customer.account())["usage"] == 0


@pytest.mark.parametrize(
    ("kind", "kept"),
    [("text/plain; a=€", "text/plain"), ("text/€", None), ("text/plain; " + "a" * 300, "text/plain; " + "a" * 243)],
)
async def test_a_result_whose_type_is_none_can_be_fetched(
    shop: JobShop, customer: Customer, kind: str, kept: str | None
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: 4\r\n\r\npaid" % kind.encode()
    shop.upstream.script(behind(customer.target("typed")), Script(answer))
    job_id = await customer.start("typed")
    await customer.until(job_id, "completed")
    result = await customer.ask(f"/user/jobs/{job_id}/result")
    assert (result.status, result.body) == (200, b"paid")
    assert result.values("content-type") == ([] if kept is None else [kept])
    assert await customer.money() == (95, 0, 5)


@pytest.mark.parametrize("limit", ["000000001" + "0" * 5_000, "0000001005", "0", "١"])
async def test_a_limit_that_is_longer_than_any_is_refused(customer: Customer, limit: str) -> None:
    answer = await customer.ask(f"/user/jobs?limit={quote(limit)}")
    assert (answer.status, json.loads(answer.body)["code"]) == (400, "malformed_request")
