"""Random lives of leases: L8 to L11 and L14. PE_FULL=1 for the long form, PE_SEED for another seed."""

import time
from collections import Counter

import pytest
from hypothesis import seed
from hypothesis.stateful import run_state_machine_as_test

from tests.credits.lease_machine import machine
from tests.credits.test_ledger_machine import BATCH, SECONDS, SEED

WANTED = {
    *(
        "served at once",
        "served after waiting",
        "call whose answer lost",
        "asked again",
        "recalled",
        "late call refused",
        "late call made",
    ),
    *("reserved", "journal closed", "killed", "quiesced"),
}


@pytest.mark.timeout(SECONDS * 2 + 120)
@pytest.mark.slow
def test_workers_spend_what_was_lent_and_nothing_is_lost(
    fresh_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    steps: Counter[str] = Counter()
    end, number = time.monotonic() + SECONDS, SEED
    while time.monotonic() < end or not steps.keys() >= WANTED:
        try:
            run_state_machine_as_test(seed(number)(machine(fresh_database_url, steps)), settings=BATCH)
        except BaseException:
            print(f"PE_SEED={number}")
            raise
        number += 1
    with capsys.disabled():
        print("\nleases: " + ", ".join(f"{name} {count}" for name, count in sorted(steps.items())))
