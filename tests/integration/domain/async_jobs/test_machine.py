"""Random lives of jobs against an oracle of their money. PE_FULL=1 for the long form, PE_SEED for another seed."""

import os
import time

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.async_machine import Figures, machine

FULL = os.environ.get("PE_FULL") == "1"
SEED = int(os.environ.get("PE_SEED", "20261127"))
SECONDS = float(os.environ.get("PE_SECONDS", "600" if FULL else "8"))
BATCH = settings(
    max_examples=5,
    stateful_step_count=60,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.timeout(SECONDS * 2 + 120)
@pytest.mark.slow
def test_holds_and_charges_agree_whatever_happens_in_whatever_order(
    fresh_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = Figures()
    end, number = time.monotonic() + SECONDS, SEED
    while time.monotonic() < end:
        try:
            run_state_machine_as_test(seed(number)(machine(fresh_database_url, figures)), settings=BATCH)
        except BaseException:
            print(f"PE_SEED={number}")
            raise
        number += 1
    with capsys.disabled():
        print(f"\njobs, seeds {SEED} to {number - 1}:", *figures.lines(), sep="\n  ")
    kinds = {"completed", "overdue", "upstream_failed", "refused", "cancelled", "withdrawn"}
    assert set(figures.ends) <= kinds
    assert len(figures.ends) >= (6 if FULL else 4), "the lives were too dull to prove anything"
