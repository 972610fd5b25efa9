"""Spans of requests to the back office, where traces are on."""

from domain.trace_settings import TraceSettings
from tests.admins import running_back_office
from tests.collectors import collecting, said
from tests.portals import portal_settings


async def test_a_request_is_a_span_of_its_face(database_url, redis_url, tmp_path):
    settings = portal_settings(database_url, redis_url, tmp_path)
    async with collecting() as collector:
        settings.traces = TraceSettings(exporter_otlp_endpoint=collector.url)
        async with running_back_office(settings) as office, office.browser().client as client:
            answer = await client.get("/sign-in")
        # What waits is sent when the process ends.
        (span,) = collector.servers
        (scope,) = collector.batches[0].request.resource_spans[0].scope_spans
    assert scope.scope.name == "paid_endpoint.admin"
    assert said(span)["paid_endpoint.request_id"] == answer.headers["x-request-id"]
    assert (said(span)["http.route"], said(span)["http.response.status_code"]) == ("/sign-in", answer.status_code)
