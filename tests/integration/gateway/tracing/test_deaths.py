"""The promise under SIGKILL. A span is sent at least once, under one id, whatever dies; what only workers and the ingester
suffer changes nothing: exactly once.
"""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from loadtests.processes import children
from tests.collectors import request_ids, said
from tests.deadlines import until
from tests.gateways import RunningGateway, connected
from tests.integration.gateway.tracing.stage import staged
from tests.wire.raw_client import RawClient
from tests.wire.upstream import Script

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n"
SMALL = {"JOURNAL_SEGMENT_MB": "1"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


async def kill(gateway: RunningGateway, module: str) -> None:
    """End the processes of a kind; one that was killed a moment ago may not have its successor yet."""
    await until(lambda: children(gateway.pid, module), 30, module)
    for pid in children(gateway.pid, module):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def workers(gateway: RunningGateway) -> set[int]:
    return set(children(gateway.pid, "gateway.server.worker"))


async def calls(gateway: RunningGateway, key: str, over: asyncio.Event) -> set[str]:
    """Ids of all whole answers until `over`, through connections that are made anew when they end."""
    ids: set[str] = set()
    while not over.is_set():
        try:
            client = await RawClient.connect(gateway.address)
        except OSError:
            continue
        async with client:
            while client.end is None and not over.is_set():
                client.received.clear()
                await client.send(gateway.request("/t/x", key))
                seen = await client.answers(1)
                if not seen.final or not seen.final[0].whole:
                    break
                ids.update(seen.final[0].values("x-request-id"))
    return ids


async def stored_all(database_url: str, ids: list[str]) -> dict[str, str]:
    """The request log, outcomes by id, once it has all of these."""
    rows: dict[str, str] = {}
    async with asyncio.timeout(60), connected(database_url) as connection:
        while not set(ids) <= rows.keys():
            await asyncio.sleep(0.05)
            rows = {
                str(row["id"]): row["outcome"] for row in await connection.fetch("select id, outcome from request_log")
            }
    return rows


async def test_workers_and_ingesters_die_and_each_request_has_its_spans_once(fresh_database_url, redis_url):
    async with staged(fresh_database_url, redis_url, **SMALL) as stage:
        gateway, collector = stage.gateway, stage.collector
        stage.upstream.scripts["/streamed"] = Script(HEAD, delay_ms=60_000, late=b"0\r\n\r\n")
        over = asyncio.Event()
        callers = [asyncio.create_task(calls(gateway, stage.tenant.key, over)) for _ in range(4)]
        async with await RawClient.connect(gateway.address) as streaming:
            await streaming.send(gateway.request("/t/streamed", stage.tenant.key))
            await until(lambda: b"four" in streaming.received)
            for module in ("gateway.ingester", "gateway.server.worker", "gateway.ingester", "gateway.server.worker"):
                before = len(stage.upstream.records)
                await until(lambda before=before: len(stage.upstream.records) > before + 200, 60)
                await kill(gateway, module)
            await streaming.ended()
        over.set()
        ids = set().union(*await asyncio.gather(*callers))
        await stage.whole(list(ids))
        await until(lambda: any(said(span)["paid_endpoint.outcome"] == "cut" for span in collector.servers))
        # An answer that its client never had is recorded too, and its row and its span may come later than all that were whole.
        assert await gateway.stop() == 0
        rows = await stored_all(fresh_database_url, request_ids(collector.servers))
    exported = request_ids(collector.servers)
    assert len(exported) == len(set(exported)), "none twice"
    assert set(exported) == rows.keys(), "the rows of the request log, to the one"
    assert ids <= set(exported)
    cut = [span for span in collector.servers if said(span)["paid_endpoint.outcome"] == "cut"]
    assert cut
    assert {span.status.code for span in cut} == {Status.StatusCode.STATUS_CODE_ERROR}


async def test_a_killed_tracer_has_its_last_spans_sent_again_and_misses_none(fresh_database_url, redis_url):
    async with staged(fresh_database_url, redis_url) as stage:
        collector = stage.collector
        over = asyncio.Event()
        caller = asyncio.create_task(calls(stage.gateway, stage.tenant.key, over))
        for _ in range(3):
            before = len(collector.servers)
            await until(lambda before=before: len(collector.servers) > before + 100, 60)
            await kill(stage.gateway, "gateway.tracer")
        over.set()
        ids = await caller
        await stage.whole(list(ids))
        rows = await stored_all(fresh_database_url, list(ids))
    assert set(request_ids(collector.servers)) == rows.keys() == ids
    spans = {(span.trace_id, span.span_id): span.SerializeToString() for span in collector.spans}
    assert len(spans) == 2 * len(ids)
    assert set(spans.values()) == {span.SerializeToString() for span in collector.spans}, "what came twice is the same"


async def test_an_orderly_stop_sends_what_is_left(fresh_database_url, redis_url):
    async with staged(fresh_database_url, redis_url, OTEL_BSP_SCHEDULE_DELAY="60000") as stage:
        # A process that is too young to hear a signal sends nothing.
        await stage.reaches("tracers", 1)
        ids = await stage.ask(50)
        assert stage.collector.batches == []
        assert await stage.gateway.stop() == 0
        assert request_ids(stage.collector.servers) == ids


async def test_a_reload_loses_none_and_doubles_none(fresh_database_url, redis_url):
    async with staged(fresh_database_url, redis_url) as stage:
        over = asyncio.Event()
        caller = asyncio.create_task(calls(stage.gateway, stage.tenant.key, over))
        await stage.reaches("tracers", 1)
        for _ in range(2):
            before = workers(stage.gateway) | set(children(stage.gateway.pid, "gateway.tracer"))
            stage.gateway.signal(signal.SIGHUP)
            await until(lambda before=before: not before & set(children(stage.gateway.pid)), 90)
        over.set()
        ids = await caller
        await stage.whole(list(ids))
    assert sorted(request_ids(stage.collector.servers)) == sorted(ids)


async def test_spans_outlive_the_ingesters_deleting(fresh_database_url, redis_url):
    """The ingester removes segments as soon as they are stored: here while the collector hangs."""
    bounds = {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10", "OTEL_EXPORTER_OTLP_TIMEOUT": "60000", **SMALL}
    async with staged(fresh_database_url, redis_url, None, **bounds) as stage:
        ids = await stage.ask(3_000, "/t/" + "x" * 1_500)
        journals = Path(stage.gateway.environment["GATEWAY_STATE_DIR"]) / "journal"
        await until(lambda: not list(journals.glob("*/00000001.seg")), what="the first segment is deleted")
        stage.collector.released.set()
        await stage.whole(ids)
    assert sorted(request_ids(stage.collector.servers)) == sorted(ids)
