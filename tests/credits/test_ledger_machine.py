"""Random lives of a ledger against the oracle: L1 to L7 and L15. PE_FULL=1 for the long form, PE_SEED for another seed."""

import os
import time

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.credits.machine import Figures, machine

FULL = os.environ.get("PE_FULL") == "1"
SEED = int(os.environ.get("PE_SEED", "20261126"))
SECONDS = float(os.environ.get("PE_SECONDS", "600" if FULL else "6"))
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
def test_l1_to_l7_and_l15_hold_whatever_is_done_in_whatever_order(
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
        print(f"\nledger, seeds {SEED} to {number - 1}:", *figures.lines(), sep="\n  ")
    assert figures.examples > 0
    assert {"purchase", "bonus", "usage", "refund", "adjustment", "expiry"} == set(figures.entries)
