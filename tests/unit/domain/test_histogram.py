import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.histogram import BUCKETS, EDGES_US, LARGEST_US, RATIO, SMALLEST_US, added, bucket_of, percentile

LATENCIES = st.lists(st.integers(SMALLEST_US, LARGEST_US - 1), min_size=1, max_size=200)


def histogram(latencies):
    counts = [0] * BUCKETS
    for latency in latencies:
        counts[bucket_of(latency)] += 1
    return counts


@given(LATENCIES, st.floats(0.01, 1.0))
def test_a_percentile_is_within_one_bucket_of_the_exact_one(latencies, share):
    exact = sorted(latencies)[max(0, -(-int(share * len(latencies) * 1e9) // int(1e9)) - 1)]
    drawn = percentile(histogram(latencies), share)
    assert exact / RATIO - 2 <= drawn <= exact * RATIO + 2


@given(LATENCIES, LATENCIES)
def test_the_sum_of_two_histograms_is_the_histogram_of_both(left, right):
    assert added(histogram(left), histogram(right)) == histogram(left + right)


def test_edges_grow_and_cover_50_microseconds_to_100_seconds():
    assert len(EDGES_US) == BUCKETS - 1
    assert list(EDGES_US) == sorted(set(EDGES_US))
    assert (EDGES_US[0], EDGES_US[-1]) == (50, 100_000_000)


@pytest.mark.parametrize(("latency", "bucket"), [(0, 0), (49, 0), (50, 1), (100_000_000, 63), (10**12, 63)])
def test_the_ends_are_open(latency, bucket):
    assert bucket_of(latency) == bucket


def test_nothing_has_no_percentile_and_too_long_says_at_least():
    assert percentile([0] * BUCKETS, 0.5) is None
    assert percentile(histogram([10**12]), 0.99) == LARGEST_US


def test_a_histogram_stored_without_its_last_zeros_adds_up():
    assert added([1, 2], [1, 1, 1]) == [2, 3, 1]
