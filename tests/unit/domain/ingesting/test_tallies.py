"""Folding: sums are those of the records, whatever the order; rows come sorted; nothing is counted into two minutes."""

from collections import Counter
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.histogram import bucket_of
from domain.ingesting.tallies import MINUTES, Tallies
from tests.journals import dimensions, record

WHO = [dimensions(uuid4(), uuid4(), uuid4(), uuid4()) for _ in range(3)]
REQUESTS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 5_000),
        st.sampled_from([100, 200, 302, 404, 429, 503, 700]),
        st.sampled_from(["served", "refused", "failed", "cut", "gone"]),
        st.integers(0, 10**9),
    ),
    max_size=60,
)


@settings(max_examples=100)
@given(REQUESTS)
def test_rows_are_the_sums_of_the_records(requests):
    tallies, requests_of, refused_of, errors_of, latency = Tallies(), Counter(), Counter(), Counter(), Counter()
    for who, minute, status, outcome, total_us in requests:
        at_us = (minute * 60 + 59) * 1_000_000 + 999_999
        tallies.count(record(dimensions=WHO[who], at_us=at_us, status=status, outcome=outcome, total_us=total_us))
        for grain, length in MINUTES.items():
            key = WHO[who], grain, minute // length * length, status // 100 if status < 600 else 0
            requests_of[key] += 1
            refused_of[key] += outcome == "refused" and status >= 400
            errors_of[key] += status >= 400 or outcome in {"failed", "cut"}
            latency[key, bucket_of(total_us)] += 1
    rows = tallies.rows()
    assert [key for key, _ in rows] == sorted(requests_of)
    for key, tally in rows:
        assert (tally.requests, tally.refused, tally.errors) == (requests_of[key], refused_of[key], errors_of[key])
        assert all(latency[key, bucket] == count for bucket, count in tally.latency.items())
        assert sum(tally.latency.values()) == tally.requests


def test_folding_twice_does_not_add_up():
    tallies = Tallies()
    for _ in range(3):
        tallies.count(record())
    assert [tally.requests for _, tally in tallies.rows()] == [tally.requests for _, tally in tallies.rows()] == [3] * 3
