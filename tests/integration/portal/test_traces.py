"""Spans of requests to the portal, where traces are on."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from domain.trace_settings import TraceSettings
from tests.collectors import Collector, collecting, request_ids, said
from tests.deadlines import until
from tests.portals import Portal, portal_settings, running_portal

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@dataclass
class Traced:
    portal: Portal
    collector: Collector

    async def ask(self, method: str, path: str, **options):
        """The span, and the answer's status."""
        async with self.portal.browser().client as client:
            answer = await client.request(method, path, **options)
        id_ = answer.headers["x-request-id"]
        await until(lambda: id_ in request_ids(self.collector.servers), 30, "the span")
        (span,) = [one for one in self.collector.servers if said(one)["paid_endpoint.request_id"] == id_]
        return span, answer.status_code


@pytest.fixture(scope="module")
async def traced(database_url: str, redis_url: str, mail_folder) -> AsyncIterator[Traced]:
    settings = portal_settings(database_url, redis_url, mail_folder)
    async with collecting() as collector:
        settings.traces = TraceSettings(exporter_otlp_endpoint=collector.url, bsp_schedule_delay=20)
        async with running_portal(settings) as portal:
            yield Traced(portal, collector)


async def test_a_page_is_a_span_by_its_pattern(traced: Traced):
    span, status = await traced.ask("GET", "/o/canary-organization/keys?token=canary")
    assert span.name == "GET /o/{organization}/keys"
    assert said(span)["http.route"] == "/o/{organization}/keys"
    assert said(span)["http.response.status_code"] == status
    assert (span.parent_span_id, span.status.code) == (b"", 0)
    assert span.start_time_unix_nano < span.end_time_unix_nano


async def test_a_callers_trace_goes_on(traced: Traced):
    fields = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    span, _ = await traced.ask("GET", "/sign-in", headers=fields)
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)


async def test_nothing_that_was_asked_is_said(traced: Traced):
    await traced.ask("GET", "/canary/nowhere?canary=1", headers={"user-agent": "canary", "cookie": "a=canary"})
    await traced.ask("POST", "/sign-in", data={"email": "canary@example.com", "password": "canary"})
    span, _ = await traced.ask("BREW", "/canary")
    assert span.name == "HTTP"
    assert b"canary" not in b"".join(batch.body for batch in traced.collector.batches)


async def test_probes_and_a_portal_without_traces_leave_none(traced: Traced, portal: Portal):
    async with traced.portal.browser().client as client, portal.browser().client as untraced:
        unseen = [(await client.get("/health")), (await untraced.get("/sign-in"))]
    span, _ = await traced.ask("GET", "/sign-in")
    ids = {answer.headers["x-request-id"] for answer in unseen}
    assert not ids & set(request_ids(traced.collector.servers))
    assert said(span)["http.route"] == "/sign-in"
    assert not hasattr(portal.app.state, "spans")
