"""What B5 makes of latencies: stalls, percentiles, streams that went wrong."""

from loadtests.bench.events import DIRECT, NGINX, OURS, Row, judge
from loadtests.streams.seen import STALL_NS, Seen, figures

MS = 1_000_000


def seen(p99: float = 1.0, stalled: int = 0, streams: int = 256, **other: object) -> Seen:
    values = {
        "streams": streams, "events": 10, "expected": 10, "seconds": 1.0, "late": False, "p50_ms": 0.1, "p99_ms": p99,
        "p999_ms": 1.0, "max_ms": 1.0, "stalls": stalled, "stalled": stalled, "reader": 0.1, "wrong": {}, **other,
    }  # fmt: skip
    return Seen(**values)


def row(name: str, one: Seen) -> Row:
    return Row(name, one, 0.1, 10.0, 0.1)


def test_percentiles_and_faults_are_counted():
    latencies = [MS] * 98 + [2 * MS, STALL_NS + 1]
    found = figures(
        latencies, streams=2, events=99, expected=100, seconds=1.0, pace=1.0, stalled=[0, 1], reader=0.2, wrong=[None, "cut"]
    )  # fmt: skip
    assert (found.p50_ms, found.p99_ms, found.max_ms) == (1.0, 40.0, 40.0)
    assert (found.stalls, found.stalled, found.wrong, found.whole) == (1, 1, {"cut": 1}, False)


def test_what_the_gateway_adds_is_measured_against_the_direct_reader():
    part = judge([row(DIRECT, seen(0.5)), row(NGINX, seen(0.7)), row(OURS, seen(2.0))])
    streams, added = part.targets
    assert (streams.measured.middle, added.measured.middle) == (256, 1.5)
    assert streams.held
    assert added.held
    assert part.faults == []


def test_a_stalled_or_broken_stream_is_not_stall_free():
    part = judge([row(DIRECT, seen()), row(OURS, seen(stalled=3, wrong={"cut": 2}))])
    assert part.targets[0].measured.middle == 251
    assert not part.targets[0].held
    assert "cut" in part.faults[0]


def test_a_machine_that_cannot_pace_the_streams_says_so():
    part = judge([row(DIRECT, seen(late=True)), row(OURS, seen())])
    assert "do not keep the pace" in part.faults[0]
