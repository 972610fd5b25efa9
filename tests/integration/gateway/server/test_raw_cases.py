"""What the guard alone decides of tests/cases: the application answers 200 to all that gets through."""

import asyncio

import pytest

from tests.conformance.cases import REQUESTS, Case, Placeholders
from tests.integration.gateway.server.serving import worker
from tests.wire.raw_client import RawClient

NOT_THE_GUARDS = {"path", "key"}
NEEDS_POLICIES = {
    "pi-401-body",
    "pi-404-body",
    "pi-401-chunked",
    "pi-400-body",
    "ex-bad-key",
    "tr-key",
    "tr-authorization",
}
CASES = [case for case in REQUESTS if case.line["group"] not in NOT_THE_GUARDS and case.id not in NEEDS_POLICIES]
SECONDS = 4.0


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """A worker with time for the cases' pauses."""
    with worker(tmp_path_factory.mktemp("worker") / "log", header_timeout_seconds=3, body_timeout_seconds=3) as made:
        yield made


async def run(case: Case, served, prefix: bytes) -> list[str]:
    """Run one case; what is wrong."""
    fill = Placeholders("pe_live_0123456789", served.address, 9).fill
    expect, methods = case.expect, (["GET"] if prefix else []) + case.methods
    skipped = 1 if prefix else 0
    async with await RawClient.connect(served.address) as client:
        if prefix:
            await client.send(prefix)
            await client.answers(1)
        await client.send(fill(case.bytes_of("raw_b64")))
        if "followup_b64" in case.line:
            await (asyncio.sleep(0.3) if case.body_follows else client.answers(1 + skipped, SECONDS, methods))
            await client.send(fill(case.bytes_of("followup_b64")))
        if case.line["half_close"]:
            client.half_close()
        if expect["must_close"]:
            await client.ended(SECONDS)
        await client.answers(1 + skipped, SECONDS, methods)
        return list(complaints(case, client, client.transcript(methods), skipped))


def complaints(case, client, seen, skipped):
    answers = seen.final[skipped:]
    status = answers[0].status if answers else 0
    allowed = case.expect["statuses"]
    if status not in allowed or (not answers and client.end is None):
        yield f"status {status}, allowed {allowed}"
    if case.expect["must_close"] and client.end is None:
        yield "not closed"
    if seen.problem:
        yield seen.problem
    if len(answers) > case.expect.get("answers_max", 2):
        yield f"{len(answers)} answers"
    if any(answer.status == 200 and b" /proxy/SMUGGLED" in answer.body[:24] for answer in answers):
        yield "a smuggled request was served"


@pytest.mark.parametrize("kept", [False, True], ids=["alone", "second"])
async def test_no_case_gets_past_the_guard_that_must_not(patient, kept):
    prefix = patient.get(b"/first") if kept else b""
    slots = asyncio.Semaphore(24)

    async def judged(case):
        async with slots:
            return [f"{case.id}: {text}" for text in await run(case, patient, prefix)]

    found = await asyncio.gather(*(judged(case) for case in CASES))
    assert [text for texts in found for text in texts] == []
    assert not patient.said("Traceback")
