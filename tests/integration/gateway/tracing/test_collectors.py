"""Collectors that are slow, away, refuse, or ask for a pause: what is sent when, and that no request waits for it."""

import time

from tests.collectors import answer, collecting, request_ids
from tests.deadlines import until
from tests.gateways import connected, free_port
from tests.integration.gateway.tracing.stage import figure, staged


async def test_a_batch_that_is_put_off_is_sent_again_after_the_pause_that_was_asked_for(fresh_database_url, redis_url):
    put_off = [answer(429, "retry-after: 2"), answer(503, "retry-after: 1")]
    async with staged(fresh_database_url, redis_url, *put_off) as stage:
        ids = await stage.ask(5)
        await stage.whole(ids)
        first, second, third = stage.collector.batches[:3]
        assert first.body == second.body == third.body, "the same batch"
        assert second.at - first.at >= 1.9
        assert third.at - second.at >= 0.9
        assert sorted(request_ids(stage.collector.servers)) == sorted(ids), "each once"
        assert await stage.reaches("span_export_failures_total", 2) == 2


async def test_a_batch_that_is_refused_is_given_up_and_counted(fresh_database_url, redis_url):
    async with staged(fresh_database_url, redis_url, answer(400)) as stage:
        await stage.ask(1)
        assert await stage.reaches("spans_refused_total", 2) == 2
        after = await stage.ask(3)
        await stage.whole(after)
        assert sorted(request_ids(stage.collector.servers)) == sorted(after)
        assert "the collector refused spans: status 400" in stage.gateway.log


async def test_no_request_waits_for_a_collector_that_hangs_and_what_has_no_room_is_counted(
    fresh_database_url, redis_url
):
    bounds = {
        "OTEL_BSP_MAX_QUEUE_SIZE": "50",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "20",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "60000",
    }
    async with staged(fresh_database_url, redis_url, None, **bounds) as stage:
        begun = time.monotonic()
        ids = await stage.ask(200)
        assert time.monotonic() - begun < 10
        assert await stage.reaches("spans_dropped_total", 300) == 300, "two spans of 150 requests"
        assert await figure(stage.gateway, "traces_waiting") == 50
        assert await stage.reaches("log_rows_written_total", 200) == 200
        stage.collector.released.set()
        await until(lambda: len(stage.collector.servers) == 50, what="the spans that had room")
        assert request_ids(stage.collector.servers) == ids[:50]
        assert await stage.reaches("spans_exported_total", 100) == 100


async def test_spans_wait_for_a_collector_that_is_away(fresh_database_url, redis_url):
    port = free_port()
    async with staged(fresh_database_url, redis_url, url=f"http://127.0.0.1:{port}") as stage:
        ids = await stage.ask(10)
        await stage.reaches("span_export_failures_total", 1)
        async with collecting(port=port) as stage.collector:
            await stage.whole(ids)
            assert sorted(request_ids(stage.collector.servers)) == sorted(ids)
            assert "did not take spans, they are sent again" in stage.gateway.log
            await until(lambda: "takes spans again" in stage.gateway.log, what="the word that all is well")


async def test_a_share_is_sampled_and_the_upstream_hears_which(fresh_database_url, redis_url):
    settings = {
        "OTEL_TRACES_SAMPLER": "traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.3",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20b",
        "OTEL_SERVICE_NAME": "front",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }
    async with staged(fresh_database_url, redis_url, **settings) as stage:
        ids = await stage.ask(400)
        told = {}
        for record in stage.upstream.records:
            assert record.request is not None
            (value,) = record.request.values("traceparent")
            told[value.split("-")[1]] = value.split("-")[3]
        sampled = {id_ for id_ in ids if told[id_.replace("-", "")] == "01"}
        assert set(told.values()) == {"00", "01"}
        assert 70 < len(sampled) < 180, "three in ten, with room for chance"
        await stage.whole(list(sampled))
    assert set(request_ids(stage.collector.servers)) == sampled
    batch = stage.collector.batches[0]
    assert (batch.headers["authorization"], batch.line) == ("Bearer b", "POST /v1/traces HTTP/1.1")
    resource = {one.key: one.value.string_value for one in batch.request.resource_spans[0].resource.attributes}
    assert (resource["service.name"], resource["deployment.environment.name"]) == ("front", "test")


async def test_spans_without_a_database_have_ids(fresh_database_url, redis_url):
    """The tracer cannot read names: what it knows goes out all the same."""
    async with staged(fresh_database_url, redis_url) as stage, connected(fresh_database_url) as connection:
        await connection.execute("alter table operation rename to operation_gone")
        ids = await stage.ask(2)
        await stage.whole(ids)
        assert [span.name for span in stage.collector.servers] == ["GET", "GET"]
        assert "spans have ids without names" in stage.gateway.log
