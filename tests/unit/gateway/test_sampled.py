"""The way of a request where traces are on, and that it is the old one where they are off."""

import sys
from types import SimpleNamespace

import pytest

from domain.journal.trace_marks import read_mark
from domain.request_ids import new_raw_id, text_of
from domain.trace_settings import TraceSettings
from domain.traces.sampling import Sampler
from gateway import forwarding, tracing
from gateway.sampled import Sampled
from tests.journals import record

GOOD = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"


def sampled(kind: str) -> Sampled:
    made = Sampler.of(TraceSettings(exporter_otlp_endpoint="http://c:4318", traces_sampler=kind))
    assert made is not None
    return Sampled(made)


def an_exchange():
    made = new_raw_id()
    return SimpleNamespace(id=made, request_id_bytes=text_of(made), trace_id=b"", begun_ns=0)


def test_a_known_head_differs_by_its_flag_alone():
    exchange = an_exchange()
    off = forwarding.known_head(exchange, b"GET / HTTP/1.1\r\n", b"a: b\r\n")
    assert exchange.trace_id == exchange.id.hex().encode()
    assert sampled("always_off").known_head(exchange, b"GET / HTTP/1.1\r\n", b"a: b\r\n") == off
    assert exchange.trace_id == exchange.id.hex().encode()
    on = sampled("always_on").known_head(exchange, b"GET / HTTP/1.1\r\n", b"a: b\r\n")
    assert on == off.replace(b"-00\r\n", b"-01\r\n")
    mark = read_mark(record(trace_id=exchange.trace_id))
    assert (mark.trace_id, mark.parent) == (exchange.id, b"")
    assert mark.wait_us > 0


@pytest.mark.parametrize(("kind", "given", "told"), [
    ("parentbased_always_on", b"00", b"00"), ("parentbased_always_off", b"01", b"01"),
    ("always_on", b"00", b"01"), ("always_off", b"01", b"00"), ("always_off", b"03", b"02"),
])  # fmt: skip
def test_the_upstream_hears_our_decision_and_the_record_has_it(kind, given, told):
    exchange = an_exchange()
    ours, goes_on = sampled(kind).begin(exchange, GOOD + given)
    assert goes_on
    assert ours == GOOD[:36] + exchange.id.hex()[16:].encode() + b"-" + told
    mark = read_mark(record(trace_id=exchange.trace_id))
    if int(told, 16) & 1:
        assert (mark.trace_id.hex().encode(), mark.parent.hex().encode()) == (GOOD[3:35], GOOD[36:52])
    else:
        assert (mark, exchange.trace_id) == (None, GOOD[3:35])


def test_off_a_known_head_calls_nothing_that_it_did_not_call_before():
    called: list[str] = []

    def note(frame, event, argument):
        if event == "call":
            called.append(frame.f_code.co_name)
        elif event == "c_call":
            called.append(argument.__name__)

    exchange = an_exchange()
    sys.setprofile(note)
    try:
        forwarding.known_head(exchange, b"", b"")
    finally:
        sys.setprofile(None)
    assert called[:-1] == ["known_head", "hex", "encode"]


def test_off_the_callers_flags_go_on_as_they_came():
    exchange = an_exchange()
    assert tracing.begin(exchange, GOOD + b"03")[0].endswith(b"-03")
    assert exchange.trace_id == GOOD[3:35]
    assert tracing.begin(exchange, None)[0].endswith(b"-00")
