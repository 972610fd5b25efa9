"""docs/benchmarks.md keeps what a partial run did not measure, and the table of targets stays whole."""

from loadtests.bench.report import figure, markdown
from loadtests.bench.result import Part, Result
from loadtests.bench.sparkline import BARS, sparkline
from loadtests.bench.targets import at_least, at_most


def result(commit: str, *parts: Part) -> Result:
    return Result({"commit": commit}, "today", list(parts))


def part(name: str, target: str, measured: float | None) -> Part:
    return Part(
        name, f"{target}: {name}", [at_most(target, "what", 2.0, "s", measured)], {"table": [("a", "b"), ("1", "2")]}
    )


def test_a_partial_run_replaces_its_own_part_only():
    page = markdown(result("one", part("streams", "B5", 1.0), part("scale", "B6", 1.5)))
    page = markdown(result("two", part("scale", "B6", 3.0)), page)
    assert "| B5 | what | <= 2 s | 1 s | 1 .. 1 | yes | one |" in page
    assert "| B6 | what | <= 2 s | 3 s | 3 .. 3 | NO | two |" in page
    assert page.count("## B6: scale") == page.count("## B5: streams") == 1
    assert page.index("## B5") < page.index("## B6")
    assert markdown(result("two", part("scale", "B6", 3.0)), page) == page


def test_what_was_not_measured_did_not_hold():
    target = at_least("B1", "what", 0.6, "x", None)
    assert not target.held
    assert "not measured" in markdown(result("one", Part("speed", "B1", [target])))


def test_figures_have_the_decimals_they_deserve():
    assert [figure(value) for value in (15000.4, 2.0, 0.1234, 0.0)] == ["15,000", "2", "0.123", "0"]


def test_a_sparkline_shows_the_greatest_of_what_it_joins():
    line = sparkline([0.0] * 119 + [8.0])
    assert line == f"0 {BARS[0] * 59}{BARS[-1]} 8"
    assert sparkline([]) == "nothing"
    assert sparkline([1.0, 1.0]) == f"1 {BARS[0] * 2} 1"
