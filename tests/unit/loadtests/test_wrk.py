"""What wrk prints, as figures."""

import pytest

from loadtests.bench.wrk import parse

LINE = (
    '{"answers":3,"duration_us":1500000,"statuses":{"200":2,"429":1},"broken":0,"timeouts":0,'
    '"p50_us":10,"p90_us":20,"p99_us":30,"max_us":40}'
)


def test_statuses_are_counted_and_the_rate_follows_from_the_time():
    run, statuses = parse(f"Running 1s test\n  Latency ...\n{LINE}\n")
    assert statuses == {200: 2, 429: 1}
    assert (run.rate, run.not_200, run.clean) == (2.0, 1, False)


def test_a_run_without_answers_is_not_clean():
    run, _ = parse(LINE.replace('"answers":3', '"answers":0').replace('"200":2,"429":1', ""))
    assert not run.clean


def test_no_figures_is_a_fault():
    with pytest.raises(RuntimeError, match="no figures"):
        parse("unable to connect")
