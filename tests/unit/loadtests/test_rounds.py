"""What the bench makes of its rounds: which of them count, and which ratios they give."""

from loadtests.bench.rounds import Round, added_latency, mark_busy, measure_rounds, ratio
from loadtests.bench.wrk import Run


def run(rate: float, not_200: int = 0, p50: int = 100) -> Run:
    return Run(int(rate), 1_000_000, not_200, 0, 0, p50, p50, p50, p50)


def test_a_round_whose_baseline_is_off_is_measured_again_and_not_counted():
    rates = iter([1000, 500, 400, 200, 1010, 505, 990, 495])
    rounds = measure_rounds(["base", "ours"], lambda _: (run(next(rates)), None), 3, "base", extra=3)
    assert [one.counted for one in rounds] == [True, False, True, True]
    assert ratio(rounds, "ours", "base").middle == 0.5


def test_repeats_are_bounded():
    rates = iter([100, 1000] * 10)
    rounds = measure_rounds(["base"], lambda _: (run(next(rates)), None), 3, "base", extra=2)
    assert len(rounds) == 5


def test_a_round_with_anything_but_200_is_not_counted():
    rounds = [Round({"base": run(100), "ours": run(50, not_200=1)}), Round({"base": run(100), "ours": run(60)})]
    mark_busy(rounds, "base")
    assert [one.counted for one in rounds] == [False, True]


def test_added_latency_is_the_difference_within_a_round():
    rounds = [Round({}, {"base": run(1, p50=100), "ours": run(1, p50=350)})]
    assert added_latency(rounds, "ours", "base", lambda one: one.p50_us).middle == 0.25
