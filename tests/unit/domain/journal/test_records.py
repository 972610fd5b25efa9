import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ingesting.copying import COLUMNS
from domain.journal.records import (
    DIMENSIONS,
    MOST_BEGIN,
    MOST_END,
    OUTCOME_CODE,
    fields_part,
    line_part,
    pack_end,
    pack_known,
    shortened,
    unpack,
)
from domain.request_ids import new_request_id

ID = new_request_id()
DIMS = bytes(range(64))


def packed(**changes) -> bytes:
    values = {
        "id_": ID.bytes,
        "dimensions": DIMS,
        "at_us": 1_790_000_000_123_456,
        "total_us": 1_234,
        "upstream_us": 900,
        "bytes_in": 3,
        "bytes_out": 2**40,
        "cost_micro": 100_000,
        "status": 200,
        "outcome": OUTCOME_CODE["served"],
        "method": b"GET",
        "path": b"/proxy/items",
        "query": b"a=1",
        "refusal": b"",
        "limit_name": b"",
        "client": b"127.0.0.1",
        "user_agent": b"curl/8",
        "trace_id": b"",
        "decision": b"\x01\x00",
    }
    return pack_end(**(values | changes))


def test_a_record_comes_back_as_the_columns_of_the_request_log():
    row = unpack(packed())
    assert set(row._fields) == set(COLUMNS)
    assert row.id == ID
    assert row.at.isoformat() == "2026-09-21T14:13:20.123456+00:00"
    assert row.organization_id.bytes + row.key_id.bytes + row.service_id.bytes + row.operation_id.bytes == DIMS
    assert (row.method, row.path, row.query, row.status, row.outcome) == ("GET", "/proxy/items", "a=1", 200, "served")
    assert (row.upstream_us, row.total_us, row.bytes_in, row.bytes_out) == (900, 1_234, 3, 2**40)
    assert (row.refusal, row.limit_name, row.client, row.user_agent) == (None, None, "127.0.0.1", "curl/8")
    assert (row.cost_micro, row.trace_id, row.decision) == (100_000, None, b"\x01\x00")


def test_what_is_not_there_is_none():
    row = unpack(packed(dimensions=bytes(64), upstream_us=-1, client=b"", user_agent=b"", decision=b""))
    assert row.organization_id is row.key_id is row.service_id is row.operation_id is None
    assert row.upstream_us is row.client is row.decision is None
    assert row.user_agent == ""


def test_the_dimensions_can_be_cut_out():
    assert packed()[DIMENSIONS] == DIMS


def packed_known(**changes) -> bytes:
    """The same through the quick way."""
    values = {
        "id_": ID.bytes, "at_us": 1_790_000_000_123_456, "total_us": 1_234, "upstream_us": 900, "bytes_in": 3,
        "bytes_out": 2**40, "cost_micro": 100_000, "status": 200, "outcome": OUTCOME_CODE["served"], "refusal": b"",
        "limit_name": b"", "trace_id": b"", "decision": b"\x01\x00",
    }  # fmt: skip
    head = {"method": b"GET", "path": b"/proxy/items", "query": b"a=1", "user_agent": b"curl/8", "client": b"127.0.0.1"}
    head = {name: changes.pop(name, value) for name, value in head.items()}
    line = line_part(DIMS[32:], head["method"], head["path"], head["query"])
    return pack_known(
        line=line, fields=fields_part(DIMS[:32], head["user_agent"], head["client"]), **(values | changes)
    )


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("path", "query", "user_agent", "refusal", "limit_name", "trace_id"), st.binary(max_size=60)
        ),
    ),
    st.integers(0, 2**62),
)
def test_the_quick_way_packs_the_same_bytes(texts, total_us):
    assert packed_known(**texts, total_us=total_us) == packed(**texts, total_us=total_us)


texts = st.binary(max_size=300) | st.integers(0, 70_000).map(lambda length: b"\xc3\xa9" * length)
numbers = st.integers(-(2**70), 2**70)


@given(
    texts=st.fixed_dictionaries(
        dict.fromkeys(
            ("method", "path", "query", "refusal", "limit_name", "client", "user_agent", "trace_id", "decision"), texts
        )
    ),
    numbers=st.fixed_dictionaries(
        dict.fromkeys(("at_us", "total_us", "upstream_us", "bytes_in", "bytes_out", "cost_micro"), numbers)
    ),
    status=st.integers(-5, 70_000),
)
def test_whatever_is_packed_is_bounded_and_storable(texts, numbers, status):
    in_range = numbers | {"at_us": abs(numbers["at_us"]) % 2**52}
    record, quick = packed(**texts, **in_range, status=status), packed_known(**texts, **in_range, status=status)
    assert max(len(record), len(quick)) <= MOST_END
    begins = [shortened(record), shortened(quick)]
    assert max(map(len, begins)) <= MOST_BEGIN
    for row in map(unpack, (record, quick, *begins)):
        assert row.id == ID
        assert row.organization_id.bytes == DIMS[:16]
        for text in (row.method, row.path, row.query, row.user_agent):
            assert "\x00" not in text
            text.encode()


def test_the_longest_of_everything_keeps_the_path_and_the_query():
    row = unpack(packed(path=b"/" + b"p" * 9_000, query=b"q" * 9_000, user_agent=b"u" * 9_000))
    assert (len(row.path), len(row.query), len(row.user_agent)) == (2_048, 2_048, 512)


@pytest.mark.parametrize("broken", [b"", packed()[:-1], packed() + b"x"])
def test_what_is_no_record_is_refused(broken):
    with pytest.raises(ValueError, match="a record"):
        unpack(broken)
