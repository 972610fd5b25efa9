"""What dirty values of an older installation mean."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.faults import InvalidValue
from domain.legacy.old_rows import PLAN_COLUMNS, changed_columns, fingerprint
from domain.legacy.readable import amount, creation, has_zone, id_here, moment, readable_name
from domain.names import NAME_LENGTH, valid_name

NOW = datetime(2026, 11, 27, tzinfo=UTC)


@given(st.text(max_size=300))
def test_every_name_becomes_one_that_may_stand_here(text):
    name, notes = readable_name(text, "otherwise")
    assert valid_name(name) == name
    if valid(text) and " ".join(text.split()) == text:
        assert (name, notes) == (text, [])
    if not notes:
        assert name == " ".join(text.split())


def valid(text: str) -> bool:
    return 1 <= len(text.strip()) <= NAME_LENGTH and text.isprintable()


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("2024-01-01 00:00:00", False),
        ("2024-01-01 00:00:00.123456", False),
        ("2024-01-01", False),
        ("2024-01-01 00:00:00+00", True),
        ("2024-01-01 05:30:00+05:30", True),
        ("2023-12-31 19:00:00-05", True),
        ("2024-01-01T00:00:00Z", True),
    ],
)
def test_a_time_without_a_zone_is_utc(text, zone):
    assert has_zone(text) == zone
    assert moment(text).replace(microsecond=0) == datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "infinity", "-infinity", "soon", "0044-03-15 00:00:00 BC", "10000-01-01", "0001-01-01 00:00:00+14"]
)
def test_what_is_no_time_is_none(text):
    with pytest.raises(InvalidValue):
        moment(text)


def test_a_creation_in_the_future_or_before_there_was_anything_is_now():
    for text in ("2030-01-01 00:00:00Z", "1970-01-01 00:00:00Z", None):
        assert creation(text, NOW)[0] == NOW
    assert creation("2024-01-01 00:00:00Z", NOW) == (datetime(2024, 1, 1, tzinfo=UTC), [])
    assert creation((NOW + timedelta(hours=3)).isoformat(), NOW)[1] == []


@pytest.mark.parametrize("text", ["0", "-1", "", "1.5", "1e3", "many", "1 000", "9" * 30, "\u0661", "NaN"])
def test_what_is_no_limit_is_none(text):
    with pytest.raises(InvalidValue):
        amount(text)


@pytest.mark.parametrize(("text", "read"), [("1", 1), (" 20 ", 20), ("30.00", 30), ("+4", 4)])
def test_a_whole_number_is_a_limit(text, read):
    assert amount(text) == read


def test_an_id_is_kept_where_it_is_a_uuid_and_else_always_the_same():
    own = uuid4()
    assert id_here("v1", "client", str(own)) == own
    others = [
        id_here(*each)
        for each in (("v1", "client", "7"), ("v2", "client", "7"), ("v1", "key", "7"), ("v1", "client", "8"))
    ]
    assert len(set(others)) == 4
    assert id_here("v1", "client", "7") == others[0]
    assert id_here("v1", "client", str(own).upper()) not in {own, UUID(int=0)}


@given(st.tuples(*[st.none() | st.text(max_size=5)] * 4), st.tuples(*[st.none() | st.text(max_size=5)] * 4))
def test_a_fingerprint_tells_which_columns_changed_also_from_nothing_to_empty(before, after):
    changed = changed_columns(PLAN_COLUMNS, fingerprint(before), fingerprint(after))
    assert changed == [name for name, old, new in zip(PLAN_COLUMNS, before, after, strict=True) if old != new]
