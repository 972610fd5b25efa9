import pytest

from domain.request_ids import new_raw_id
from domain.trace_settings import TraceSettings
from domain.traces.sampling import Sampler

HERE = {"exporter_otlp_endpoint": "http://127.0.0.1:4318"}
IDS = [new_raw_id() for _ in range(20_000)]


def sampler(kind: str, share: float = 1.0) -> Sampler:
    made = Sampler.of(TraceSettings(**HERE, traces_sampler=kind, traces_sampler_arg=share))
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("kind", "share", "begins", "with_sampled", "with_unsampled"),
    [
        ("always_on", 0.0, True, True, True),
        ("always_off", 1.0, False, False, False),
        ("traceidratio", 0.0, False, False, False),
        ("traceidratio", 1.0, True, True, True),
        ("parentbased_always_on", 0.0, True, True, False),
        ("parentbased_always_off", 1.0, False, True, False),
        ("parentbased_traceidratio", 0.0, False, True, False),
        ("parentbased_traceidratio", 1.0, True, True, False),
    ],
)
def test_every_sampler(kind, share, begins, with_sampled, with_unsampled):
    made = sampler(kind, share)
    for id_ in (*IDS[:50], b"\xff" * 16, bytes(16)):
        assert made.begins(id_) is begins
        assert made.goes_on(id_, b"01") is made.goes_on(id_, b"03") is with_sampled
        assert made.goes_on(id_, b"00") is made.goes_on(id_, b"02") is with_unsampled


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9])
def test_a_share_is_one(share):
    taken = sum(map(sampler("traceidratio", share).begins, IDS))
    assert abs(taken / len(IDS) - share) < 5 * (share * (1 - share) / len(IDS)) ** 0.5


def test_a_smaller_share_is_part_of_a_larger_one():
    small, large = sampler("traceidratio", 0.1), sampler("traceidratio", 0.2)
    assert all(large.begins(id_) for id_ in IDS if small.begins(id_))


def test_without_an_endpoint_there_is_none():
    assert Sampler.of(TraceSettings()) is None
    assert Sampler.of(TraceSettings(**HERE, sdk_disabled=True)) is None
