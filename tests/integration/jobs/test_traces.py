"""Attempts of jobs as spans, where traces are on."""

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from domain import job_runs
from domain.audit import Actor
from domain.trace_settings import TraceSettings
from jobs.engine.process import Process, opened, tracing
from jobs.engine.running import Outcome, perform
from jobs.work import Finding
from tests.collectors import collecting, said

ACTOR = Actor("operator", 7, "ada@example.com")


async def test_each_attempt_is_a_span_with_what_came_of_it(settings, own_pool, own_jobs):
    async def works(work):
        return {"canary": 1}

    async def finds(work):
        raise Finding("canary", {})

    jobs = [own_jobs("works", works), own_jobs("finds", finds)]
    async with own_pool.acquire() as connection:
        await job_runs.publish(connection, [job.record for job in jobs])
        runs = {job.name: await job_runs.request_run(connection, job.name, {}, ACTOR) for job in jobs}
    async with collecting() as collector:
        settings.traces = TraceSettings(exporter_otlp_endpoint=collector.url)
        async with opened(settings) as context, tracing(context) as traced:
            outcomes = [await perform(traced, job, f"run-{runs[job.name]}") for job in jobs]
    assert outcomes == [Outcome.SUCCEEDED, Outcome.FAILED]
    found = {span.name: span for span in collector.of_kind(Span.SpanKind.SPAN_KIND_INTERNAL)}
    assert said(found["job works"]) == {
        "paid_endpoint.job": "works",
        "paid_endpoint.run_id": str(runs["works"]),
        "paid_endpoint.attempt": 1,
        "paid_endpoint.outcome": "succeeded",
    }
    assert said(found["job finds"])["error.type"] == "failed"
    assert found["job finds"].status.code == Status.StatusCode.STATUS_CODE_ERROR
    assert b"canary" not in b"".join(batch.body for batch in collector.batches)


async def test_without_traces_a_process_has_no_spans(settings):
    async with opened(settings) as context, tracing(context) as same:
        assert same is context
        assert context.spans is None
        assert Process(same).health
