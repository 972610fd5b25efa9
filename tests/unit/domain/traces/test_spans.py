"""Records of every kind become spans, or none, and never a fault."""

import secrets
import subprocess
import sys
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

from domain.journal.trace_marks import marked, spans_of
from domain.settings import DatabaseSettings
from domain.traces.names import Names, Target
from domain.traces.spans import SpanMaker
from tests.collectors import said
from tests.journals import dimensions, record

TRACE = secrets.token_hex(16).encode()
END_US = 1_800_000_000_123_456


def names(*targets: tuple[bytes, Target]) -> Names:
    made = Names(DatabaseSettings())
    made._operations = dict(targets)
    return made


def spans(of: Names | None = None, *, wait_us: int = 200, **changes):
    made = ScopeSpans()
    one = record(**({"at_us": END_US, "trace_id": marked(TRACE, wait_us * 1000)} | changes))
    assert SpanMaker(of or names()).add(made, one) == len(made.spans) == spans_of(one)
    return list(made.spans)


def test_times_are_those_of_the_record():
    server, client = spans(total_us=5_000, upstream_us=3_000)
    assert (server.start_time_unix_nano, server.end_time_unix_nano) == ((END_US - 5_000) * 1000, END_US * 1000)
    assert client.start_time_unix_nano == (END_US - 4_800) * 1000
    assert client.events[0].time_unix_nano == (END_US - 1_800) * 1000
    assert client.end_time_unix_nano == END_US * 1000


@pytest.mark.parametrize("wait_us", [0, 10_000, 0xFFFFFFFF])
def test_no_span_ends_before_it_begins_whatever_the_clocks_said(wait_us):
    server, client = spans(total_us=5_000, upstream_us=90_000, wait_us=wait_us)
    assert server.start_time_unix_nano <= client.start_time_unix_nano <= client.events[0].time_unix_nano
    assert client.events[0].time_unix_nano <= client.end_time_unix_nano == server.end_time_unix_nano


def test_names_come_with_what_is_known_and_change_with_it():
    operation = uuid4()
    of = names((operation.bytes, Target("weather", "forecast", "/weather/{city}", "api.example", 443)))
    maker, made = SpanMaker(of), ScopeSpans()
    one = record(dimensions=dimensions(uuid4(), uuid4(), uuid4(), operation), trace_id=marked(TRACE, 0))
    maker.add(made, one)
    of._operations = {operation.bytes: Target("weather", "later", "/later/{city}")}
    of.version += 1
    maker.add(made, one)
    assert [span.name for span in made.spans] == ["GET /weather/{city}", "GET", "GET /later/{city}", "GET"]
    assert said(made.spans[1])["server.address"] == "api.example"
    assert "server.address" not in said(made.spans[3])


@pytest.mark.parametrize(
    ("method", "name", "attribute"), [("BREW", "HTTP", "_OTHER"), ("get", "HTTP", "_OTHER"), ("PUT", "PUT", "PUT")]
)
def test_a_method_that_nobody_knows_is_other(method, name, attribute):
    for span in spans(method=method.encode()):
        assert (span.name, said(span)["http.request.method"]) == (name, attribute)


@pytest.mark.parametrize(
    ("changes", "server_error", "client_error"),
    [
        ({"status": 404}, None, "404"),
        ({"status": 500}, "500", "500"),
        ({"status": 200, "outcome": "cut"}, "cut", "cut"),
        ({"status": 200, "outcome": "gone"}, None, None),
        ({"status": 0, "outcome": "gone"}, None, None),
        ({"status": 504, "outcome": "failed", "refusal": b"upstream_timeout"}, "upstream_timeout", "upstream_timeout"),
        ({"status": 413, "outcome": "refused", "refusal": b"body_too_large"}, None, "body_too_large"),
    ],
)
def test_what_counts_as_an_error(changes, server_error, client_error):
    server, client = spans(**changes)
    assert (said(server).get("error.type"), said(client).get("error.type")) == (server_error, client_error)
    assert (bool(server.status.code), bool(client.status.code)) == (server_error is not None, client_error is not None)


@given(
    changes=st.fixed_dictionaries(
        {},
        optional={
            "id_": st.binary(min_size=16, max_size=16),
            "dimensions": st.binary(min_size=64, max_size=64),
            **dict.fromkeys(
                ("at_us", "total_us", "upstream_us", "bytes_in", "cost_micro"), st.integers(-(2**63), 2**63 - 1)
            ),
            **dict.fromkeys(
                ("method", "path", "query", "user_agent", "refusal", "limit_name", "decision"), st.binary(max_size=60)
            ),
            "trace_id": st.one_of(
                st.binary(max_size=64), st.binary(max_size=30).map(lambda parent: marked(TRACE, 0, parent))
            ),
            "status": st.integers(0, 65_535),
        },
    )
)
def test_no_record_is_a_fault(changes):
    made = ScopeSpans()
    count = SpanMaker(names()).add(made, record(**({"trace_id": marked(TRACE, 0)} | changes)))
    assert count == len(made.spans)


def test_workers_and_ingesters_do_not_even_import_it():
    code = (
        "import sys, gateway.app, gateway.server.worker, gateway.ingester.process, cli.main\n"
        "sys.exit(any(name.startswith(('opentelemetry.proto', 'google.protobuf')) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
