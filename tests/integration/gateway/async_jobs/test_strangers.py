"""Who may not: forged callbacks, callbacks of another job or time, other organizations, keys that may not see a service."""

import json
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from standardwebhooks import Webhook

from domain import keys
from domain.async_jobs.callback_secrets import rotate_secret, show_secret
from tests.async_jobs import Customer, JobShop, secret_settings
from tests.gateways import key_settings, make_service

STRANGER = "whsec_" + "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def code(body: bytes) -> str:
    return str(json.loads(body)["code"])


def without_id(body: bytes) -> dict[str, object]:
    document: dict[str, object] = json.loads(body)
    del document["request_id"]
    return document


async def test_a_forged_callback_changes_nothing_and_tells_nothing(shop: JobShop, customer: Customer) -> None:
    job_id, unknown = await customer.start(), str(uuid4())
    before = await customer.job(job_id), await customer.money()
    answers = []
    for asked in (job_id, unknown):
        for how in ({"secret": ""}, {"secret": STRANGER}, {"age_seconds": 600}, {"age_seconds": -600}):
            answers.append(await shop.call_back(asked, status="completed", result=1, **how))  # type: ignore[arg-type]
    answers.append(await shop.call_back("no-id", status="completed"))
    assert {(answer.status, answer.first("content-type")) for answer in answers} == {(401, "application/problem+json")}
    assert all(without_id(answer.body) == without_id(answers[0].body) for answer in answers)
    after = await customer.job(job_id)
    assert (after["status"], await customer.money()) == (
        "pending" if after["status"] == "pending" else "processing",
        before[1],
    )
    assert after["result"] is None


async def test_a_true_signature_of_another_body_is_none(shop: JobShop, customer: Customer) -> None:
    job_id, name = await customer.start(), "msg_1"
    said = {"job_id": job_id, "status": "failed"}
    at = int(time.time())
    signed = Webhook(shop.secret).sign(name, datetime.fromtimestamp(at, UTC), json.dumps(said).encode().decode())
    lines = [f"webhook-id: {name}", f"webhook-timestamp: {at}", f"webhook-signature: {signed}"]
    body = json.dumps({**said, "status": "completed"}).encode()
    raw = shop.gateway.request(f"/callbacks/jobs/{job_id}", "", *lines, method="POST", body=body)
    assert (await shop.gateway.ask(raw, "POST")).status == 401


async def test_what_was_signed_for_one_job_says_nothing_of_another(shop: JobShop, customer: Customer) -> None:
    job_id, other = await customer.start(), await customer.start()
    body = json.dumps({"job_id": other, "status": "completed"}).encode()
    answer = await shop.call_back(job_id, body=body)
    assert (answer.status, code(answer.body)) == (400, "invalid_callback")
    assert (await customer.account())["usage"] == 0


@pytest.mark.parametrize(
    "body",
    [
        b"[]", b"{", b'{"job_id": 1}', b'{"status": "completed"}', b"[" * 100_000,
    ],
)  # fmt: skip
async def test_a_body_that_says_nothing_is_refused(shop: JobShop, customer: Customer, body: bytes) -> None:
    job_id = await customer.start()
    answer = await shop.call_back(job_id, body=body)
    assert (answer.status, code(answer.body)) in {(400, "invalid_callback"), (413, "body_too_large")}


@pytest.mark.parametrize(
    "said",
    [
        {"status": "done"}, {"status": "processing", "progress": 101}, {"status": "processing", "progress": "1"},
        {"status": "processing", "progress": True}, {"status": "failed", "error": 3}, {"status": "completed", "message": []},
    ],
)  # fmt: skip
async def test_values_that_mean_nothing_are_refused(shop: JobShop, customer: Customer, said: dict[str, object]) -> None:
    job_id = await customer.start()
    answer = await shop.call_back(job_id, said)
    assert (answer.status, code(answer.body)) == (400, "invalid_callback")
    assert (await customer.job(job_id))["progress"] == 0


async def test_both_secrets_are_good_while_one_is_changed(shop: JobShop, customer: Customer) -> None:
    first, second, third = [await customer.start() for _ in range(3)]
    async with shop.pool.acquire() as connection:
        new = (await rotate_secret(connection, secret_settings(), "work", timedelta(hours=1))).secret
        assert (await show_secret(connection, secret_settings(), "work")).secret == new
    old, shop.secret = shop.secret, new
    assert (await shop.call_back(first, status="completed", secret=old)).status == 200
    assert (await shop.call_back(second, status="completed", secret=new)).status == 200
    await shop.pool.execute("update service set old_callback_secret_until = now() where slug = 'work'")
    assert (await shop.call_back(third, status="completed", secret=old)).status == 401


async def test_the_secret_of_another_service_signs_nothing(shop: JobShop, customer: Customer) -> None:
    slug = f"other-{uuid4().hex[:8]}"
    async with shop.pool.acquire() as connection:
        await make_service(connection, slug, f"/{slug}", shop.upstream.port)
        other = (await show_secret(connection, secret_settings(), slug)).secret
    job_id = await customer.start()
    assert (await shop.call_back(job_id, status="completed", secret=other)).status == 401


async def test_the_job_of_somebody_else_is_not_there(shop: JobShop, customer: Customer) -> None:
    stranger = await shop.customer()
    job_id, unknown = await customer.start(), str(uuid4())
    await shop.call_back(job_id, status="completed", result="mine")
    for method, tail in (("GET", ""), ("DELETE", ""), ("GET", "/result")):
        theirs = await stranger.ask(f"/user/jobs/{job_id}{tail}", method=method)
        nobodys = await stranger.ask(f"/user/jobs/{unknown}{tail}", method=method)
        assert (theirs.status, without_id(theirs.body)) == (nobodys.status, without_id(nobodys.body))
        assert (theirs.status, code(theirs.body)) == (404, "unknown_job")
    assert json.loads((await stranger.ask("/user/jobs")).body)["jobs"] == []
    assert json.loads((await stranger.ask(f"/user/jobs?before={job_id}")).body)["jobs"] == []
    assert (await customer.ask(f"/user/jobs/{job_id}/result")).status == 200


async def test_without_a_key_there_are_no_jobs(shop: JobShop, customer: Customer) -> None:
    job_id = await customer.start()
    for path in ("/user/jobs", f"/user/jobs/{job_id}", f"/user/jobs/{job_id}/result"):
        assert (await customer.ask(path, key="")).status == 401


async def test_a_key_sees_jobs_of_what_it_may_call(shop: JobShop, customer: Customer) -> None:
    job_id = await customer.start()
    async with shop.pool.acquire() as connection:
        made = [
            await keys.create(connection, key_settings(), organization_id=customer.id, name=scope, scopes=[scope])
            for scope in ("work:job", "work:free", "work")
        ]
    seen = [(await customer.ask(f"/user/jobs/{job_id}", key=each.plaintext)).status for each in made]
    assert seen == [200, 404, 200]
