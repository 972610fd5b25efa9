import pytest

from domain.ingesting.copying import encoded
from domain.journal.records import shortened, unpack
from domain.journal.trace_marks import is_marked, marked, read_mark, server_span, spans_of, upstream_span
from domain.request_ids import new_raw_id
from tests.journals import record

TRACE, PARENT = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"


@pytest.mark.parametrize("parent", [b"", PARENT])
@pytest.mark.parametrize(("wait_ns", "wait_us"), [(0, 0), (1_234_567, 1_234), (10**18, 0xFFFFFFFF)])
def test_a_mark_is_read_back(parent, wait_ns, wait_us):
    made = record(trace_id=marked(TRACE, wait_ns, parent))
    assert is_marked(made)
    mark = read_mark(made)
    assert (mark.trace_id.hex().encode(), mark.wait_us, mark.parent.hex().encode()) == (TRACE, wait_us, parent)
    assert read_mark(shortened(record(trace_id=marked(TRACE, wait_ns, parent), path=b"/" + b"p" * 4_000))) == mark


@pytest.mark.parametrize("trace", [b"", TRACE, b"x" * 33, b"z" * 40, TRACE + b"0" * 9])
def test_without_a_whole_mark_there_is_none(trace):
    assert read_mark(record(trace_id=trace)) is None
    assert is_marked(record(trace_id=trace)) == (len(trace) > 32)


def test_the_request_log_has_the_same_row_with_and_without_a_mark():
    same = {"id_": new_raw_id(), "at_us": 1_800_000_000_000_000}
    for text in (b"/plain", "/grün".encode(), b"/bad\xff\0"):
        without, with_mark = (record(trace_id=trace, path=text, **same) for trace in (TRACE, marked(TRACE, 5, PARENT)))
        assert encoded(with_mark) == encoded(without)
        assert unpack(with_mark) == unpack(without)


def test_spans_of_a_request_differ_and_are_as_random_as_its_id():
    ids = [new_raw_id() for _ in range(2_000)]
    spans = {span for id_ in ids for span in (server_span(id_), upstream_span(id_))}
    assert len(spans) == 4_000
    assert {len(span) for span in spans} == {8}
    assert bytes(8) not in spans


def test_a_request_without_an_upstream_leaves_one_span():
    assert spans_of(record(upstream_us=-1)) == 1
    assert spans_of(record(upstream_us=0)) == spans_of(record(upstream_us=2**40)) == 2
