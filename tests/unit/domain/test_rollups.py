from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from domain.histogram import bucket_of
from domain.rollups import GRAINS, Fold
from domain.snapshots import NO_ID
from tests.snapshots import log_row

ORGANIZATIONS = [None, uuid4(), uuid4()]
BEGIN = datetime(2026, 11, 20, 23, 58, 30, tzinfo=UTC)
ROWS = st.lists(
    st.builds(
        lambda organization, seconds, status, total: log_row(
            organization_id=organization, at=BEGIN + timedelta(seconds=seconds), status=status, total_us=total
        ),
        st.sampled_from(ORGANIZATIONS),
        st.integers(0, 200),
        st.sampled_from([101, 200, 302, 404, 502, 0]),
        st.integers(0, 10**6),
    ),
    max_size=60,
)


@given(ROWS)
def test_every_grain_counts_every_row_once(rows):
    fold = Fold()
    for row in rows:
        fold.count(row)
    folded = fold.rows()
    for grain in GRAINS:
        tallies = [tally for key, tally in folded if key[5] == grain]
        assert sum(tally.sums[0] for tally in tallies) == len(rows)
        assert sum(tally.sums[1] for tally in tallies) == sum(row.status >= 400 for row in rows)
        assert sum(tally.sums[5] for tally in tallies) == sum(row.total_us for row in rows)
        latency = sum((Counter(tally.histogram) for tally in tallies), Counter())
        assert latency == Counter(bucket_of(row.total_us) for row in rows)


@given(ROWS)
def test_rows_are_unique_and_in_one_order_whatever_came_first(rows):
    first, second = Fold(), Fold()
    for row in rows:
        first.count(row)
    for row in reversed(rows):
        second.count(row)
    keys = [key for key, _ in first.rows()]
    assert len(set(keys)) == len(keys)
    assert keys == [key for key, _ in second.rows()]


def test_buckets_begin_where_their_grain_does_and_missing_ids_are_zero():
    fold = Fold()
    fold.count(log_row(at=BEGIN, status=429, outcome="refused", refusal="rate_limited"))
    keys = {key[5]: key for key, _ in fold.rows()}
    assert keys["minute"] == (NO_ID, NO_ID, NO_ID, NO_ID, BEGIN.replace(second=0), "minute", 4)
    assert keys["hour"][4] == BEGIN.replace(minute=0, second=0)
    assert keys["day"][4] == BEGIN.replace(hour=0, minute=0, second=0)


def test_an_answer_that_was_cut_is_an_error_and_one_whose_client_left_is_not():
    fold = Fold()
    fold.count(log_row(outcome="cut"))
    fold.count(log_row(outcome="gone"))
    assert {tally.sums[1] for _, tally in fold.rows()} == {1}
