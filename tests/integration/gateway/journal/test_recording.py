"""What an exchange leaves in the journal, and that nothing is answered for which there is no room."""

import asyncio
import json
from hashlib import sha256
from secrets import token_hex

import pytest

from domain import keys, organizations, plans
from domain.journal.decision import Flag, KeyFault, Step
from domain.journal.reading import open_journals
from domain.journal.records import BEGIN, END, pack_end
from tests.deadlines import until
from tests.gateways import connected, key_settings
from tests.integration.gateway.journal.conftest import Worker
from tests.wire.upstream import Script


def served(worker: Worker) -> str:
    return f"/{worker.tenant.slug}/items"


async def test_an_answer_is_recorded_with_its_decision(worker: Worker):
    call = await worker.ask(f"{served(worker)}?page=2&token=s3cret", headers=((b"user-agent", b"curl/8"),))
    assert call.status == 200
    row, decision = worker.last()
    assert str(row.id) == call.fields["x-request-id"]
    assert (row.status, row.outcome, row.refusal, row.method, row.path) == (200, "served", None, "GET", served(worker))
    assert (row.query, row.user_agent, row.client) == ("page=2&token=***", "curl/8", "192.0.2.7")
    assert (row.organization_id, row.key_id) == (worker.tenant.organization_id, worker.tenant.key_id)
    assert row.service_id is not None
    assert row.bytes_out == len(call.body)
    assert 0 <= row.upstream_us <= row.total_us
    assert decision.step is Step.ANSWER
    assert decision.key_fault is KeyFault.NONE
    assert Flag.COLD_KEY in decision.flags
    ((_, amount, remaining, reset, violated, _),) = decision.limits
    assert (amount, remaining, violated) == (100, 99, False)
    assert 0 < reset <= 3_600
    for _ in range(20):  # a notification of the tenant's own making may still be on its way
        if Flag.COLD_KEY not in worker.last()[1].flags:
            break
        await worker.ask(served(worker))
    assert Flag.COLD_KEY not in worker.last()[1].flags
    assert worker.services.journal.status().open == 0


async def test_what_was_refused_says_at_which_step(worker: Worker, database_url: str):
    assert (await worker.ask("/nowhere")).status == 404
    row, decision = worker.last()
    assert (row.refusal, decision.step, row.service_id) == ("unknown_route", Step.ROUTE, None)
    for _ in range(100):
        await worker.ask(served(worker))
    assert (await worker.ask(served(worker))).status == 429
    row, decision = worker.last()
    assert (row.status, row.outcome, row.refusal, row.limit_name) == (429, "refused", "rate_limited", "hour")
    assert decision.step is Step.LIMIT
    assert [(found.remaining, found.violated) for found in decision.limits] == [(0, True)]


async def test_401s_are_alike_for_the_caller_and_not_for_the_operator(worker: Worker, database_url: str):
    calls = [await worker.ask(served(worker), key=key) for key in ("", "pe_live_0123456789_" + "a" * 38)]
    faults = [(row.key_id, row.organization_id) for row in worker.rows()]
    assert faults == [(None, None)] * 2
    assert (await worker.ask(served(worker))).status == 200
    async with connected(database_url) as connection:
        await connection.execute("update api_key set expires_at = now() where id = $1", worker.tenant.key_id)
        await _refused_as(worker, KeyFault.EXPIRED)
        calls.append(await worker.ask(served(worker)))
        await connection.execute("update api_key set revoked_at = now() where id = $1", worker.tenant.key_id)
        await _refused_as(worker, KeyFault.REVOKED)
        calls.append(await worker.ask(served(worker)))
    row, decision = worker.last()
    assert (row.key_id, row.organization_id) == (worker.tenant.key_id, worker.tenant.organization_id)
    assert (row.refusal, decision.step) == ("invalid_api_key", Step.KEY)
    bodies = [json.loads(call.body) | {"request_id": ""} for call in calls]
    fields = [call.fields | {"x-request-id": "", "date": ""} for call in calls]
    assert bodies == [bodies[0]] * 4
    assert fields == [fields[0]] * 4


async def _refused_as(worker: Worker, fault: KeyFault) -> None:
    async with asyncio.timeout(2):
        while True:
            await worker.ask(served(worker))
            if worker.last()[1].key_fault is fault:
                return
            # A refusal waits for nothing, and the change can only be heard in a turn of the loop.
            await asyncio.sleep(0.005)


async def test_no_secret_reaches_the_journal(worker: Worker):
    other = "pe_live_AbCdEfGhIj_0123456789abcdefghijklmnopqrstuvwxyzAB"
    await worker.ask(f"{served(worker)}/{other}?k={other}&api_key=hunter2", headers=((b"user-agent", other.encode()),))
    await worker.ask(f"{served(worker)}?key={worker.tenant.key}")
    written = b"".join(file.read_bytes() for file in worker.journals.rglob("*.seg"))
    for secret in (other.rpartition("_")[2], worker.tenant.key.rpartition("_")[2], "hunter2"):
        assert secret.encode() not in written


async def test_a_begin_is_there_before_the_first_byte_of_an_answer_that_goes_on(worker: Worker):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n"
    worker.upstream.scripts["/streamed"] = Script(head, late=b"0\r\n\r\n", delay_ms=50)
    call = await worker.ask(f"/{worker.tenant.slug}/streamed")
    assert (call.status, call.body) == (200, b"four")
    assert call.begins_at_first_byte == 1
    (begun,) = worker.rows(BEGIN)
    row, _ = worker.last()
    assert (begun.id, begun.outcome, begun.status, begun.path) == (row.id, "cut", 200, row.path)
    assert row.outcome == "served"
    assert worker.services.journal.status().begun == 0


async def test_a_full_journal_refuses_before_anything_is_counted_and_goes_on_later(worker: Worker):
    journal = worker.services.journal
    assert (await worker.ask(served(worker))).status == 200
    filling = pack_end(*(bytes(16), bytes(64), *(0,) * 8, b"GET", *(b"x" * 2_048,) * 2, *(b"",) * 6))
    while journal.promise():
        journal.append(END, filling)
    count = len(worker.upstream.records)
    call = await worker.ask(served(worker))
    assert call.status == 503
    assert call.fields["retry-after"]
    assert json.loads(call.body)["code"] == "overloaded"
    assert len(worker.upstream.records) == count
    assert (await worker.ask("/ready", key="")).status == 503
    (found,) = open_journals(worker.journals)
    found.delete_segments_below(8)
    await until(lambda: not journal.full)
    assert (await worker.ask(served(worker))).status == 200
    _, decision = worker.last()
    assert decision.limits[0].remaining == 98
    assert journal.status().open == 0


@pytest.mark.parametrize(("target", "agent"), [("/{}", "-"), ("/x?a={}", "-"), ("/%73{}", "-"), ("/x", "client ({})")])
@pytest.mark.parametrize("known", [True, False])
async def test_an_imported_key_that_stands_elsewhere_too_is_not_recorded(
    worker: Worker, database_url: str, target: str, agent: str, known: bool
):
    """Its form is nobody's, so that only comparing finds it; the request is refused for it, and the row must not keep it."""
    imported = "s" + token_hex(16)
    if known:
        async with connected(database_url) as connection:
            await keys.import_sha256(
                connection,
                organization_id=worker.tenant.organization_id,
                name="old",
                sha256_hex=sha256(imported.encode()).hexdigest(),
            )
    shown = imported[1:] if "%73" in target else imported
    target, agent = f"/{worker.tenant.slug}{target.format(shown)}", agent.format(shown)
    call = await worker.ask(target, key=imported, headers=((b"user-agent", agent.encode()),))
    assert call.status == (400 if known else 401)
    row, _ = worker.last()
    assert imported[1:] not in f"{row.path}{row.query}{row.user_agent}"
    assert "***" in f"{row.path}{row.query}{row.user_agent}"


async def test_the_decision_of_a_plan_without_limits_names_that_plan(worker: Worker, database_url: str):
    """Two such plans have the same, empty, limits."""
    named = []
    for slug in ("free-of-limits", "free-of-limits-too"):
        async with connected(database_url) as connection:
            plan = await plans.create(connection, slug=f"{worker.tenant.slug}-{slug}", limits=[])
            organization = await organizations.create(
                connection, name=slug, plan_slug=plan.slug, slug=f"{worker.tenant.slug}-{slug}"
            )
            made = await keys.create(connection, key_settings(), organization_id=organization.id, name="test")
        await until_served(worker, made.plaintext)
        named.append(worker.last()[1].plan_id == plan.id)
    assert named == [True, True]


async def until_served(worker: Worker, key: str) -> None:
    """Once the new plan is read."""
    async with asyncio.timeout(2):
        while (await worker.ask(served(worker), key=key)).status != 200:
            await asyncio.sleep(0.005)
