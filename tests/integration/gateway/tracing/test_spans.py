"""What a collector gets of requests through the real gateway, and what the upstream hears of the same trace."""

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.collectors import request_ids, said
from tests.deadlines import until
from tests.gateways import connected
from tests.integration.gateway.tracing.conftest import Traced
from tests.integration.gateway.tracing.stage import figure
from tests.wire.upstream import Script

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ERROR = Status.StatusCode.STATUS_CODE_ERROR


async def ask(traced: Traced, target: str, *lines: str, key: str | None = None, method: str = "GET"):
    """Status, and the request's id."""
    raw = traced.gateway.request(target, traced.tenant.key if key is None else key, *lines, method=method)
    given = await traced.gateway.ask(raw, method)
    return given.status, given.values("x-request-id")[0]


async def spans_of(traced: Traced, request_id: str) -> tuple[Span, list[Span]]:
    """The span of the request, and those below it."""
    await until(lambda: request_id in request_ids(traced.collector.servers), what="the span")
    (server,) = [one for one in traced.collector.servers if said(one)["paid_endpoint.request_id"] == request_id]
    return server, [one for one in traced.collector.clients if one.parent_span_id == server.span_id]


def heard(traced: Traced) -> list[str]:
    """The `traceparent` that the upstream got last, in its parts."""
    request = traced.upstream.records[-1].request
    assert request is not None
    (value,) = request.values("traceparent")
    return value.split("-")


async def test_a_request_leaves_a_span_and_one_of_its_upstream_that_join_up(traced: Traced):
    for _ in range(5):
        # The later ones go the way of known heads.
        status, request_id = await ask(traced, "/traced/items/7?secret=x")
        server, (client,) = await spans_of(traced, request_id)
        version, trace, parent, flags = heard(traced)
        # An upstream that makes its own span of this hangs it under ours.
        assert (version, flags) == ("00", "01")
        assert (trace, parent) == (client.trace_id.hex(), client.span_id.hex())
        assert trace == server.trace_id.hex() == request_id.replace("-", "")
        assert client.parent_span_id == server.span_id != client.span_id
        assert server.parent_span_id == b""
        assert server.start_time_unix_nano <= client.start_time_unix_nano <= client.events[0].time_unix_nano
        assert client.events[0].time_unix_nano <= client.end_time_unix_nano <= server.end_time_unix_nano
        assert server.name == "GET /traced/items/{id}"
        attributes = said(server)
        assert attributes.pop("paid_endpoint.request_id") == request_id
        assert attributes == {
            "http.request.method": "GET",
            "http.route": "/traced/items/{id}",
            "http.response.status_code": 200,
            "http.request.body.size": 0,
            "http.response.body.size": attributes["http.response.body.size"],
            "paid_endpoint.organization.id": str(traced.tenant.organization_id),
            "paid_endpoint.key.id": str(traced.tenant.key_id),
            "paid_endpoint.plan": "plan-rich",
            "paid_endpoint.service": "traced",
            "paid_endpoint.operation": "item",
            "paid_endpoint.outcome": "served",
        }
        assert attributes["http.response.body.size"] > 0
        assert said(client) == {
            "http.request.method": "GET",
            "http.response.status_code": 200,
            "paid_endpoint.service": "traced",
            "paid_endpoint.operation": "item",
            "server.address": "127.0.0.1",
            "server.port": traced.upstream.port,
        }
        assert server.status.code == client.status.code == Status.StatusCode.STATUS_CODE_UNSET
    assert status == 200


async def test_a_callers_trace_goes_on_and_its_decision_counts(traced: Traced):
    _, request_id = await ask(traced, "/traced/items/1", f"traceparent: 00-{TRACE}-{PARENT}-01", "tracestate: a=b")
    server, (client,) = await spans_of(traced, request_id)
    assert (server.trace_id.hex(), server.parent_span_id.hex()) == (TRACE, PARENT)
    assert heard(traced) == ["00", TRACE, client.span_id.hex(), "01"]
    assert traced.upstream.records[-1].request.values("tracestate") == ["a=b"]
    _, silent = await ask(traced, "/traced/items/1", f"traceparent: 00-{TRACE}-{PARENT}-00")
    assert heard(traced)[1::2] == [TRACE, "00"]
    _, last = await ask(traced, "/traced/items/1")
    await spans_of(traced, last)
    assert silent not in request_ids(traced.collector.servers)


@pytest.mark.parametrize("broken", ["00-zz", f"ff-{TRACE}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01"])
async def test_a_broken_traceparent_begins_a_trace(traced: Traced, broken: str):
    _, request_id = await ask(traced, "/traced/items/1", f"traceparent: {broken}")
    server, _ = await spans_of(traced, request_id)
    assert (server.trace_id.hex(), server.parent_span_id) == (request_id.replace("-", ""), b"")


async def test_refusals_are_spans_without_an_upstream(traced: Traced):
    parent = f"traceparent: 00-{TRACE}-{PARENT}-01"
    seen = {}
    await ask(traced, "/traced/x", key=traced.poor.key)
    for target, key in (("/nowhere", traced.tenant.key), ("/traced/x", "pe_live_no"), ("/traced/x", traced.poor.key)):
        status, request_id = await ask(traced, target, parent, key=key)
        server, below = await spans_of(traced, request_id)
        assert below == []
        assert (server.trace_id.hex(), server.parent_span_id.hex()) == (TRACE, PARENT)
        # What the caller did wrong is no error of ours, by the conventions.
        assert server.status.code == Status.StatusCode.STATUS_CODE_UNSET
        seen[status] = (server.name, said(server)["paid_endpoint.refusal"], said(server).get("paid_endpoint.limit"))
    assert seen == {
        404: ("GET", "unknown_route", None),
        401: ("GET /traced/*", "invalid_api_key", None),
        429: ("GET /traced/*", "rate_limited", "hour"),
    }


async def test_what_fails_is_an_error(traced: Traced):
    traced.upstream.scripts["/items/broken"] = Script(b"HTTP/1.1 2", close=True)
    traced.upstream.scripts["/items/500"] = Script(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")
    traced.upstream.scripts["/items/404"] = Script(b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n")
    for name, status, ours, theirs in (
        ("broken", 502, "upstream_broken", "upstream_broken"),
        ("500", 500, "500", "500"),
        ("404", 404, None, "404"),
    ):
        given, request_id = await ask(traced, f"/traced/items/{name}")
        server, (client,) = await spans_of(traced, request_id)
        assert given == said(server)["http.response.status_code"] == status
        assert (server.status.code == ERROR, client.status.code == ERROR) == (ours is not None, True)
        assert (said(server).get("error.type"), said(client)["error.type"]) == (ours, theirs)
        assert said(client).get("http.response.status_code") == (None if name == "broken" else status)


async def test_a_stream_is_a_span_to_its_end(traced: Traced):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n"
    traced.upstream.scripts["/items/slow"] = Script(head, delay_ms=400, late=b"0\r\n\r\n")
    _, request_id = await ask(traced, "/traced/items/slow")
    _, (client,) = await spans_of(traced, request_id)
    after_first = client.end_time_unix_nano - client.events[0].time_unix_nano
    assert 0.3e9 < after_first < 5e9


async def test_nothing_that_a_caller_wrote_is_in_a_span(traced: Traced):
    canary = "canary5ecret"
    key = f"pe_live_{'a' * 10}_{canary:b<38}"
    hostile = (
        f"User-Agent: {canary}", f"Cookie: session={canary}", f"Authorization: Bearer {canary}", f"X-{canary}: 1",
        f"tracestate: a={canary}", f"baggage: b={canary}", f"X-Forwarded-For: {canary}",
        f"Idempotency-Key: {canary}",
    )  # fmt: skip
    traced.upstream.scripts[canary] = Script(
        f"HTTP/1.1 200 {canary}\r\nServer: {canary}\r\nSet-Cookie: a={canary}\r\ncontent-length: 12\r\n\r\n{canary}".encode()
    )
    asked = [
        await ask(traced, f"/traced/items/{canary}?token={canary}", *hostile),
        await ask(traced, f"/traced/items/{canary}", f"traceparent: 00-{TRACE}-{PARENT}-01-{canary}", *hostile),
        await ask(traced, f"/{canary}", *hostile),
        await ask(traced, f"/traced/{canary}", key=key),
        await ask(traced, f"/traced/x?key={traced.tenant.key}"),
    ]
    method = traced.gateway.request(f"/traced/items/{canary}", traced.tenant.key, method=canary.upper())
    asked.append(((await traced.gateway.ask(method, canary.upper())).status, ""))
    last = (await ask(traced, "/traced/items/1"))[1]
    await until(lambda: last in request_ids(traced.collector.servers))
    assert {id_ for _, id_ in asked if id_} <= set(request_ids(traced.collector.servers))
    exported = b"".join(batch.body for batch in traced.collector.batches).lower()
    assert canary.encode() not in exported
    assert traced.tenant.key.encode().lower() not in exported
    secret = traced.tenant.key.rpartition("_")[2].encode().lower()
    assert secret not in exported
    assert b"127.0.0.1" in exported, "the upstream's host"


async def test_the_log_has_the_traces_id_and_nothing_behind_it(traced: Traced):
    _, begun = await ask(traced, "/traced/items/1")
    _, continued = await ask(traced, "/traced/items/1", f"traceparent: 00-{TRACE}-{PARENT}-01")
    async with connected(traced.gateway.database_url) as connection:
        rows: dict[str, str] = {}
        while not {begun, continued} <= rows.keys():
            rows = {
                str(row["id"]): row["trace_id"]
                for row in await connection.fetch("select id, trace_id from request_log")
            }
    assert (rows[begun], rows[continued]) == (begun.replace("-", ""), TRACE)


async def test_metrics_count_what_was_exported(traced: Traced):
    before = len(traced.collector.spans)
    for _ in range(10):
        _, last = await ask(traced, "/traced/items/1")
    await spans_of(traced, last)
    found = -1.0
    while found < before + 20:
        found = await figure(traced.gateway, "spans_exported_total")
    assert found == len(traced.collector.spans)
    assert await figure(traced.gateway, "tracers") == await figure(traced.gateway, "workers") == 1
    assert await figure(traced.gateway, "spans_dropped_total") == 0
    assert await figure(traced.gateway, "span_export_failures_total") == 0
