"""Random lives of workers and Redis against the oracle. PE_FULL=1 for the long form, PE_SEED for another seed."""

import os
import time

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.leases.machine import Ground, machine

FULL = os.environ.get("PE_FULL") == "1"
SEED = int(os.environ.get("PE_SEED", "20261121"))
SECONDS = float(os.environ.get("PE_SECONDS", "900" if FULL else "25"))
BATCH = settings(
    max_examples=5,
    stateful_step_count=40,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.timeout(SECONDS * 2 + 120)
@pytest.mark.slow
def test_no_life_of_workers_and_redis_breaks_a_promise(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    end, number = time.monotonic() + SECONDS, SEED
    while time.monotonic() < end:
        try:
            run_state_machine_as_test(seed(number)(machine(ground)), settings=BATCH)
        except BaseException:
            print(f"PE_SEED={number}")
            raise
        number += 1
    with capsys.disabled():
        print(f"\nlease protocol, seeds {SEED} to {number - 1}:", *ground.figures.lines(), sep="\n  ")
    assert ground.figures.examples > 0
